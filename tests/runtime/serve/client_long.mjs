// A field longer than a message and a service that closes what is idle: node client_long.mjs URL
import { RemoteKeyboard } from "../../../clients/typescript/keyboard_lm.js";

const url = process.argv[2];
const long = "we can go home now ".repeat(150); // 2,850 code points
const seen = { welcomes: 0, failure: null, inserted: "" };
const said = (keyboard, condition) =>
  new Promise((resolve) => {
    const wait = () => (condition() || seen.failure ? resolve() : setTimeout(wait, 10));
    wait();
  });
const keyboard = new RemoteKeyboard(
  { url, first_pause_ms: 20, text: "I am", cursor: 1 },
  {
    onWelcome: () => (seen.welcomes += 1),
    onEdit: (edit) => (seen.inserted += edit.inserted),
    onFailure: (failure) => (seen.failure = failure),
  },
);
const answered = () => keyboard.unanswered.length === 0 && seen.welcomes > 0;
keyboard.type("x");
await said(keyboard, answered);
const middle = keyboard.text;
keyboard.send({ type: "text_changed", text: long, cursor: long.length });
keyboard.type("o");
await said(keyboard, answered);
keyboard.send({ type: "cursor_moved", cursor: 3 }); // before what the service knows
await said(keyboard, answered);
keyboard.type("t");
await said(keyboard, answered);
const edited = keyboard.text;
await said(keyboard, () => keyboard.socket === null); // nobody types
await new Promise((resolve) => setTimeout(resolve, 300));
const asleep = seen.welcomes;
keyboard.send({ type: "backspaced" });
await said(keyboard, answered);
console.log(JSON.stringify({ ...seen, middle, asleep, edited: edited === "we t" + long.slice(3) + "o" || edited.slice(0, 12), text: keyboard.text === "we " + long.slice(3) + "o" || keyboard.text.slice(0, 12) }));
keyboard.close();
setTimeout(() => process.exit(0), 50);
