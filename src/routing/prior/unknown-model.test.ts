/** Where a model that a router does not know is placed. */
import { expect, test } from "bun:test";
import { placeUnknown } from "./unknown-model.ts";

const labelQuality = Float32Array.of(0.4, 0.6, 0.8);
const known = [110, 120, 130].map((ability, label) => ({ label, ability }));
const price = (usd: number) => ({ inputUsdPerToken: usd / 1e6, outputUsdPerToken: 0 });

test.each([
  ["between two of known ability", { label: -1, ability: 125 }, known, 0.67, 0.025],
  ["a little below the best that was seen", { label: -1, ability: 150 }, known, 0.77, 1e-6],
  ["and below the worst", { label: -1, ability: 60 }, known, 0.37, 1e-6],
  [
    "beside one known model: level with it",
    { label: -1, ability: 140 },
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
