/** Made-up examples for tests of strategies: models that are good in different directions. */

import type { Examples } from "../../src/routing/strategies/strategy.ts";
import { hashUser } from "../../src/security/hashing.ts";
import { createRandom, nextInt, nextNormal } from "../../src/std/random.ts";

const d = 32;
/** The last is the large one: good everywhere; the others are good on their own kind of query. */
const models = ["small", "left", "right", "large"] as const;
const skill = (kind: number) =>
  [
    [0.75, 0.9, 0.2, 0.65],
    [0.1, 0.2, 0.9, 0.65],
  ][kind] as number[];

export function makeExamples(n: number, seed: number): Examples {
  const random = createRandom(seed);
  const m = models.length;
  const x = new Float32Array(n * d);
  const quality = new Float32Array(n * m);
  const verification = new Float32Array(n * m);
  const user = new Array<string | undefined>(n);
  for (let row = 0; row < n; row++) {
    const kind = random.next() < 0.5 ? 0 : 1;
    let squares = 0;
    for (let i = 0; i < d; i++) {
      const centre = i % 2 === kind ? 1 : 0;
      const value = centre + 0.8 * nextNormal(random);
      x[row * d + i] = value;
      squares += value * value;
    }
    for (let i = 0; i < d; i++) x[row * d + i] = (x[row * d + i] as number) / Math.sqrt(squares);
    skill(kind).forEach((share, j) => {
      const good = random.next() < share ? 1 : 0;
      quality[row * m + j] = good;
      // Eight verdicts by a verifier that is right three times in four.
      verification[row * m + j] = (good === 1 ? 6 : 2) / 8;
    });
    user[row] = row % 3 === 0 ? undefined : hashUser("tenant", `user-${row % 7}`);
  }
  return {
    models,
    x,
    n,
    d,
    quality,
    weight: new Float32Array(n).fill(1),
    group: Int32Array.from({ length: n }, (_, row) => row),
    sizeB: Float32Array.of(7, 30, 30, 400),
    priceUsdPerMtok: Float32Array.of(0.2, 1, 1, 10),
    user,
    verification,
  };
}

/** As a log has it: each row saw one model. */
export function single(examples: Examples): Examples {
  const random = createRandom(9);
  const m = examples.models.length;
  const quality = examples.quality.map(() => Number.NaN);
  for (let row = 0; row < examples.n; row++) {
    const at = row * m + nextInt(random, m);
    quality[at] = examples.quality[at] as number;
  }
  return { ...examples, quality };
}
