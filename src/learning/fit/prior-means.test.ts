/** The prior speaks where labels are few, and is silent where they are many. */
import { expect, test } from "bun:test";
import { drawToPrior } from "./prior-means.ts";

const models = ["gpt-4o-mini", "gpt-4o", "gpt-5", "acme/unheard-of"].map((name) => ({
  name,
  facts: {},
}));
/** Twenty lucky rows put the weakest first. */
const means = [0.9, 0.6, 0.7, 0.5];
const drawn = (rows: number) => drawToPrior(means, Array(4).fill(rows), models);

test("with few labels means are drawn towards what abilities let expect", () => {
  const few = drawn(15);
  expect(few[0]).toBeLessThan(0.85);
  expect(few[2]).toBeGreaterThan(0.7);
  expect(few[3]).toBeCloseTo(0.5, 6); // nothing is known of it but its labels
});

test("with many they stay", () => {
  const many = drawn(5000);
  for (const [j, mean] of means.entries()) {
    expect(Math.abs((many[j] as number) - mean)).toBeLessThan(0.002);
  }
});
