/** The nearest known name to a mistyped one, for messages. */

/**
 * The known name with the smallest edit distance, where that is small enough to be a slip of the
 * hand: at most a third of the word's length (and 2 for short words); else the first name that
 * begins with the word (3 letters or more). Ties keep the earlier name.
 * Case, "-" and "_" do not count. Cost: |known| × length², for error paths only.
 */
export function findNearest(name: string, known: Iterable<string>): string | undefined {
  const wanted = fold(name.slice(0, 100));
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(wanted, fold(candidate));
    if (distance >= bestDistance || distance >= Math.max(wanted.length, candidate.length)) continue;
    best = candidate;
    bestDistance = distance;
  }
  if (best !== undefined || wanted.length < 3) return best;
  return [...known].find((candidate) => fold(candidate).startsWith(wanted));
}

/** Several names in order of distance, for a message that lists what there is. */
export function rankNearest(name: string, known: Iterable<string>, limit: number): string[] {
  const wanted = fold(name.slice(0, 100));
  return [...known]
    .map((candidate) => ({ candidate, distance: editDistance(wanted, fold(candidate)) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

const fold = (name: string) => name.toLowerCase().replace(/[-_]/g, "");

/** Optimal string alignment: insertions, deletions, substitutions, swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

const at = (row: readonly number[], index: number) => row[index] ?? 0;
