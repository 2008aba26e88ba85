/** Whether another backend computes the same here, and which of them takes less time for what typing asks for. */
import { ROOT, type Backend } from "./backend";

const CONTEXT = 24;
const TREE = 8;
const ROUNDS = 3;

/**
 * The least of a few times for a step and a tree, in ms, after one round to warm up. The backend's cache is emptied.
 *
 * Where even a warm round takes longer than `giveUpMs`, or the backend fails: `Infinity`.
 */
export async function stepsMs(backend: Backend, clock: () => number, giveUpMs = Infinity): Promise<number> {
  const ids = Array.from({ length: CONTEXT }, (_, i) => 3 + i);
  let least = Infinity;
  try {
    backend.rewind(0);
    await backend.decode(ids);
    for (let round = 0; round <= ROUNDS; round++) {
      const begun = clock();
      backend.rewind(CONTEXT - 1);
      await backend.decode(ids.slice(-1));
      await backend.scoreTree(ids.slice(0, TREE), Array<number>(TREE).fill(ROOT));
      const elapsed = clock() - begun;
      if (round && elapsed < giveUpMs) least = Math.min(least, elapsed);
      else if (round) break;
    }
  } catch {
    least = Infinity;
  }
  backend.rewind(0);
  return least;
}

const TOLERANCE = 0.05; // of a logit: what half precision may lose, far below what a wrong position changes

/** Whether two backends give the same logits, for text and for a tree with branches of different depth. */
export async function agree(first: Backend, second: Backend): Promise<boolean> {
  const logits = async (backend: Backend): Promise<Float32Array[]> => {
    backend.rewind(0);
    const ids = Array.from({ length: CONTEXT }, (_, i) => 3 + i);
    const last = Float32Array.from(await backend.decode(ids));
    const tree = await backend.scoreTree([5, 6, 7, 8], [ROOT, 0, ROOT, 2]);
    const rows = [last, ...tree.map((row) => Float32Array.from(row))];
    backend.rewind(0);
    return rows;
  };
  try {
    const [wanted, found] = [await logits(first), await logits(second)];
    return wanted.every((row, i) => row.every((logit, id) => Math.abs(logit - found[i][id]) <= TOLERANCE));
  } catch {
    return false;
  }
}
