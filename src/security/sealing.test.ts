/** Sealing: what is sealed opens with the same key at the same place, and nowhere else. */
import { expect, test } from "bun:test";
import { GatewayError } from "../domain/errors.ts";
import { createSealer } from "./sealing.ts";

const withKeys = (current: string, ...previous: string[]) =>
  createSealer(() => Promise.resolve({ current, previous }));

test("a text comes back; the same text never looks the same", async () => {
  const sealer = withKeys("sk-one");
  const text = "héllo {}";
  const [first, second] = [await sealer.seal(text, "a/1"), await sealer.seal(text, "a/1")];
  expect(first).toMatch(/^riq1\.[0-9a-f]{8}\.[\w-]+$/);
  expect(first).not.toBe(second);
  expect(await withKeys("sk-one").open(first, "a/1")).toEqual({ text, isOld: false });
});

test("a former key opens, and says that it is one", async () => {
  const sealed = await withKeys("sk-one").seal("secret", "a/1");
  expect(await withKeys("sk-two", "sk-0", "sk-one").open(sealed, "a/1")).toEqual({
    text: "secret",
    isOld: true,
  });
});

const flip = (text: string, at: number) =>
  text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);

const refusals = [
  ["another key", "sk-two", "a/1", (text: string) => text, /another key \([0-9a-f]{8}\)/],
  ["another place", "sk-one", "a/2", (text: string) => text, /changed since/],
  ["a changed byte", "sk-one", "a/1", (text: string) => flip(text, 30), /changed since/],
  ["a part of it", "sk-one", "a/1", (text: string) => text.slice(0, 20), /changed since/],
  ["a newer form", "sk-one", "a/1", (text: string) => `riq2${text.slice(4)}`, /does not know/],
] as const;

test.each(refusals)("%s opens nothing and says why", async (_, key, place, change, message) => {
  const sealed = await withKeys("sk-one").seal("the secret itself", "a/1");
  const refused = await withKeys(key)
    .open(change(sealed), place)
    .catch((thrown: unknown) => thrown);
  if (!(refused instanceof GatewayError)) throw new Error("it opened");
  expect(refused.code).toBe("sealed_unreadable");
  expect(refused.message).toMatch(message);
  expect(refused.message).toContain("LITELLM_SALT_KEY");
  expect(refused.message).not.toContain("the secret itself");
});
