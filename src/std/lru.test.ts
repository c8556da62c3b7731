/** What is used stays, what is not is forgotten, and the limit holds. */
import { expect, test } from "bun:test";
import { createLru } from "./lru.ts";

test.each([1, 49, 50, 51, 99, 100, 101, 149, 150, 1_000])(
  "of %i set, the last half of the limit",
  (count) => {
    const lru = createLru<number, number>(100);
    for (let i = 0; i < count; i++) {
      lru.set(i, i);
      expect(lru.size).toBeLessThanOrEqual(100);
    }
    for (let i = count - 1; i >= Math.max(0, count - 50); i--) expect(lru.get(i)).toBe(i);
    if (count > 100) expect(lru.get(0)).toBeUndefined();
  },
);

test("what is read goes on living", () => {
  const lru = createLru<string, string>(10);
  lru.set("kept", "here");
  for (let i = 0; i < 100; i++) {
    lru.set(`key ${i}`, "");
    expect(lru.get("kept")).toBe("here");
  }
});

test("a new value stands, and what is deleted is gone from both halves", () => {
  const lru = createLru<string, number>(4);
  lru.set("a", 1);
  for (const key of ["b", "c"]) lru.set(key, 0);
  lru.set("a", 2);
  expect(lru.get("a")).toBe(2);
  lru.delete("a");
  expect(lru.get("a")).toBeUndefined();
});
