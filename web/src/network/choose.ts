/** Which of two backends is faster here, by timing what typing asks for. */
import { ROOT, type Backend } from "./backend";

const CONTEXT = 24;
const TREE = 8;
const ROUNDS = 3;

/** The faster of two, of equal ones the first; the second is not chosen where it fails. Their caches are emptied. */
export async function fasterBackend<B extends Backend>(first: B, second: B, clock: () => number = () => performance.now()): Promise<B> {
  const firstMs = await stepsMs(first, clock);
  const secondMs = await stepsMs(second, clock).catch(() => Infinity);
  return secondMs < firstMs ? second : first;
}

/** The least of a few times for a step and a tree; the first round of each warms up. */
async function stepsMs(backend: Backend, clock: () => number): Promise<number> {
  const ids = Array.from({ length: CONTEXT }, (_, i) => 3 + i);
  backend.rewind(0);
  await backend.decode(ids);
  let least = Infinity;
  for (let round = 0; round <= ROUNDS; round++) {
    const begun = clock();
    backend.rewind(CONTEXT - 1);
    await backend.decode(ids.slice(-1));
    await backend.scoreTree(ids.slice(0, TREE), Array<number>(TREE).fill(ROOT));
    if (round) least = Math.min(least, clock() - begun);
  }
  backend.rewind(0);
  return least;
}
