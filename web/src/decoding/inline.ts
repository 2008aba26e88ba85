/** Inline prediction: several words ahead, as long as it is likely that they come exactly so. */
import { compareText } from "../text/characters";
import { bestPlaces } from "./best";
import type { Boundary, Path } from "./context";
import type { PieceTable } from "./pieces";
import type { FoundWord } from "./search";

/** When to show ghost text (`InlineOptions` in Python, which says where the numbers are from). */
export const INLINE = { threshold: 0.65, maxWords: 5, minChars: 3 } as const;

/** The most probable words of one piece after whole words; null where the path is too long for a call. */
export async function continuation(
  table: PieceTable, boundary: Boundary, path: Path, maxNodes: number, numWords = 1, least = 0,
): Promise<FoundWord[] | null> {
  if (!boundary.isKnown(path)) {
    if (path.length > maxNodes) return null;
    await boundary.expand([path]);
  }
  const { ends } = table;
  const given = boundary.arranged(ends, path, true);
  let most = 0;
  for (const probability of given) if (probability > most) most = probability;
  if (most * ends.largestGroup < least) return [];
  const numGroups = ends.groupStarts.length - 1;
  const masses = new Float64Array(numGroups);
  for (let group = 0; group < numGroups; group++) {
    if (!ends.areWords[ends.groupStarts[group]]) continue;
    for (let i = ends.groupStarts[group]; i < ends.groupStarts[group + 1]; i++) masses[group] += given[i];
  }
  const words: { key: string; text: string; probability: number }[] = [];
  for (const group of bestPlaces(masses, numWords)) {
    if (!masses[group]) continue;
    const start = ends.groupStarts[group];
    let best = start;
    for (let i = start; i < ends.groupStarts[group + 1]; i++) {
      const isBetter = given[i] > given[best] || (given[i] === given[best] && compareText(ends.texts[i], ends.texts[best]) < 0);
      if (isBetter) best = i;
    }
    words.push({ key: ends.keys[start], text: ends.texts[best], probability: masses[group] });
  }
  words.sort((a, b) => b.probability - a.probability || compareText(a.key, b.key));
  return words;
}
