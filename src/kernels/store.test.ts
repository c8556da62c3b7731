/** Memory that is used again is as new; parts that share one do not meet in it. */
import { expect, test } from "bun:test";
import { createKernels } from "./create.ts";
import { createScalarKernels } from "./scalar.ts";
import { createKernelStore, shareKernels } from "./store.ts";

test.each([
  ["wasm", createKernels],
  ["scalar", createScalarKernels],
] as const)("%s: what is given back is taken again, empty", (_name, create) => {
  let made = 0;
  const store = createKernelStore((bytes) => {
    made++;
    return create(bytes);
  });
  const first = store.take(1_000);
  const at = first.alloc(64);
  first.u8(at, 64).fill(7);
  const second = store.take(1_000);
  expect(second).not.toBe(first);
  store.give(first);
  const again = store.take(500_000);
  expect(again).toBe(first);
  expect(again.alloc(64)).toBe(at);
  expect(again.u8(at, 64).every((byte) => byte === 0)).toBe(true);
  store.give(again);
  expect(store.take(50_000_000)).not.toBe(first); // too small
  expect(made).toBe(3);
});

test("few wait", () => {
  let made = 0;
  const store = createKernelStore((bytes) => {
    made++;
    return createScalarKernels(bytes);
  });
  const all = [1, 2, 3, 4].map(() => store.take(10));
  for (const one of all) store.give(one);
  for (let i = 0; i < 3; i++) store.take(10);
  expect(made).toBe(5);
});

test("parts share an instance as long as they fit", () => {
  const { create, shared } = shareKernels(createScalarKernels, 100_000);
  expect(shared()).toBeUndefined();
  const a = create(60_000);
  expect(create(30_000)).toBe(a);
  expect(create(30_000)).not.toBe(a);
  expect(create(10_000)).toBe(a);
  expect(shared()).toBe(a);
  a.alloc(60_000);
  a.alloc(30_000);
  a.alloc(10_000);
});
