// Types a text through the TypeScript client and prints what came of it: node client.mjs URL TEXT
import { RemoteKeyboard } from "../../../clients/typescript/keyboard_lm.js";

const [url, text] = process.argv.slice(2);
const seen = { connections: 0, bars: 0, slots: [] };
const keyboard = new RemoteKeyboard(
  { url, learning: "memory", first_pause_ms: 20 },
  {
    onConnected: (isConnected) => (seen.connections += isConnected ? 1 : 0),
    onBar: (bar) => {
      seen.bars += 1;
      seen.slots = bar === null ? [] : bar.slots.map((slot) => slot.text);
      if (bar !== null && keyboard.revision >= Array.from(text).length && bar.revision === keyboard.revision) finish();
    },
    onFailure: (failure) => finish(failure),
  },
);
let place = 0;
const typing = setInterval(() => {
  if (place === 8 && seen.connections === 0) return; // there is none to lose yet
  const chars = Array.from(text);
  if (place === 8) keyboard.socket.close(1000); // a connection that is lost, between two events
  if (place < chars.length) keyboard.type(chars[place++]);
  else clearInterval(typing);
}, 15);

function finish(failure = null) {
  clearInterval(typing);
  console.log(JSON.stringify({ ...seen, text: keyboard.text, revision: keyboard.revision, failure }));
  keyboard.close();
  setTimeout(() => process.exit(0), 50);
}
