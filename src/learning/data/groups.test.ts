/** Rows that share a key are one group, up to a size. */
import { expect, test } from "bun:test";
import { createGroups } from "./groups.ts";

test("keys chain rows into groups", () => {
  const groups = createGroups();
  for (const keys of [["a"], ["b"], ["a", "c"], ["c"], [], ["b"]]) groups.add(keys);
  const group = groups.finish();
  expect(group[0]).toBe(group[2] as number);
  expect(group[2]).toBe(group[3] as number);
  expect(group[1]).toBe(group[5] as number);
  expect(new Set(group).size).toBe(3);
});

test("a phrase that everybody sends does not chain all conversations into one", () => {
  const groups = createGroups();
  const n = 60_000;
  for (let row = 0; row < n; row++) {
    const session = `s:${Math.floor(row / 3)}`;
    groups.add(row % 3 === 0 ? [session, "q:hello"] : [session, `q:${row}`]);
  }
  const sizes = new Map<number, number>();
  for (const id of groups.finish()) sizes.set(id, (sizes.get(id) ?? 0) + 1);
  expect(Math.max(...sizes.values())).toBeLessThanOrEqual(0.05 * n);
});
