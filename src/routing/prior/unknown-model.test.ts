/** Where a model that a router does not know is placed. */
import { expect, test } from "bun:test";
import { placeUnknown } from "./unknown-model.ts";

const labelQuality = Float32Array.of(0.4, 0.6, 0.8);
const known = [110, 120, 130].map((ability, label) => ({ label, ability }));
const price = (usd: number) => ({ inputUsdPerToken: usd / 1e6, outputUsdPerToken: 0 });

test.each([
  ["between two of known ability", { label: -1, ability: 125 }, known, 0.67, 0.025],
  [
    "a little abler than all: a little below the best",
    { label: -1, ability: 132 },
    known,
    0.79,
    0.01,
  ],
  [
    "much abler than all: half of its lead above it",
    { label: -1, ability: 140 },
    known,
    0.85,
    1e-6,
  ],
  ["and below the worst", { label: -1, ability: 60 }, known, 0.37, 1e-6],
  [
    "beside one known model that is as able: level with it",
    { label: -1, ability: 110 },
    known.slice(0, 1),
    0.37,
    1e-6,
  ],
  [
    "by price where abilities are not told",
    { label: -1, price: price(4) },
    [1, 2, 8].map((usd, label) => ({ label, price: price(usd) })),
    0.67,
    0.05,
  ],
  ["at the mean where nothing is", { label: -1 }, [{ label: 0 }, { label: 1 }], 0.6, 1e-6],
] as const)("%s", (_, unknown, candidates, expected, within) => {
  const placed = placeUnknown(unknown, candidates, labelQuality);
  expect(Math.abs(placed - expected)).toBeLessThanOrEqual(within);
});
