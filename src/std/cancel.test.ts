/** What is stopped stays stopped, and whoever listens hears of it once. */
import { expect, test } from "bun:test";
import { Cancel } from "./cancel.ts";

const gone = new Error("gone");
const late = new Error("late");

test("the first reason stands, and the listener hears it once", () => {
  const cancel = new Cancel();
  const heard: Error[] = [];
  cancel.listen((reason) => heard.push(reason));
  cancel.cancel(gone);
  cancel.cancel(late);
  expect(heard).toEqual([gone]);
  expect(cancel.reason).toBe(gone);
  expect(() => cancel.throwIfCancelled()).toThrow("gone");
});

test("a listener that comes late is told at once; one that was replaced is not", () => {
  const cancel = new Cancel();
  const heard: string[] = [];
  cancel.listen(() => heard.push("first"));
  cancel.listen(() => heard.push("second"));
  cancel.cancel(gone);
  cancel.listen(() => heard.push("third"));
  expect(heard).toEqual(["second", "third"]);
});

test.each(["before", "after"])("a signal that is asked for %s carries the reason", (when) => {
  const cancel = new Cancel();
  const early = when === "before" ? cancel.signal : undefined;
  cancel.cancel(gone);
  const signal = early ?? cancel.signal;
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toBe(gone);
  expect(cancel.signal).toBe(signal);
});
