/** Signatures across turns, providers and clients. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../domain/json.ts";
import {
  fitSignatures,
  isWrapped,
  signatureOf,
  signId,
  skipValidator,
  splitId,
  unwrapBlock,
  wrapBlock,
} from "./signatures.ts";

const user = (text: string) => ({ role: "user", parts: [{ text }] });
const call = (name: string, signature?: string) => ({
  functionCall: { name, args: {} },
  ...(signature ? { thoughtSignature: signature } : {}),
});
const model = (...parts: JsonObject[]) => ({ role: "model", parts });
const answer = (name: string) => ({
  role: "user",
  parts: [{ functionResponse: { name, response: {} } }],
});

describe("the signatures that a model insists on", () => {
  const fit = (contents: readonly object[], signs = true) =>
    fitSignatures({ model: "m", contents: contents as never }, () => signs)["contents"];
  const signed = call("f", skipValidator);

  test("an unsigned first call of each step of the current turn is marked", () => {
    const contents = [
      user("old"),
      model(call("f")),
      answer("f"),
      user("new"),
      model(call("f"), call("g")),
      answer("f"),
      model(call("h")),
      answer("h"),
    ];
    expect(fit(contents)).toEqual([
      user("old"),
      model(call("f")),
      answer("f"),
      user("new"),
      model(signed, call("g")),
      answer("f"),
      model(call("h", skipValidator)),
      answer("h"),
    ] as never);
  });

  test("what is signed, what needs no signature, and other models stay as they are", () => {
    const untouched = [
      [[user("a"), model(call("f", "real")), answer("f")], true],
      [[user("a"), model({ text: "b" }), user("c")], true],
      [[user("a"), model(call("f")), answer("f")], false],
      [[], true],
    ] as const;
    for (const [contents, signs] of untouched) {
      const body = { model: "m", contents: contents as never };
      expect(fitSignatures(body, () => signs)).toBe(body);
    }
    const odd: JsonObject = { model: "m", contents: [null, 3, { role: "model", parts: "x" }] };
    expect(fitSignatures(odd, () => true)).toBe(odd);
  });

  test("thoughts of other makers do not reach Gemini, nor their signatures", () => {
    const wrapped = wrapBlock({ type: "thinking", thinking: "hm", signature: "s" });
    const contents = [
      user("a"),
      model(
        { text: "hm", thought: true, thoughtSignature: wrapped },
        { text: "b" },
        call("f", wrapped),
      ),
      answer("f"),
    ];
    expect(fit(contents)).toEqual([user("a"), model({ text: "b" }, signed), answer("f")] as never);
    expect(fit(contents, false)).toEqual([
      user("a"),
      model({ text: "b" }, call("f")),
      answer("f"),
    ] as never);
  });
});

test("a block travels within a signature, and damage costs the block alone", () => {
  const block = { type: "redacted_thinking", data: "Emw€" };
  const wrapped = wrapBlock(block);
  expect(unwrapBlock(wrapped)).toEqual(block);
  expect(isWrapped(wrapped)).toBe(true);
  for (const other of ["CqEBQ2FsbA==", "", wrapped.slice(0, 20), `${wrapped.slice(0, -6)}!!`]) {
    expect(unwrapBlock(other)).toBeUndefined();
  }
});

test.each(["CqEBQ2FsbA==", "ab+/cd", "YQ=="])("signature %s travels in an id", (signature) => {
  const id = signId("call_1", signature);
  expect(id).toMatch(/^[\w-]+$/);
  const { signature: found = "" } = splitId(id);
  expect(Buffer.from(found, "base64")).toEqual(Buffer.from(signature, "base64"));
  expect(splitId(id).id).toBe("call_1");
  expect(splitId("plain")).toEqual({ id: "plain" });
});

test("a signature is found in Google's place and in LiteLLM's", () => {
  expect(signatureOf({ extra_content: { google: { thought_signature: "a" } } })).toBe("a");
  expect(signatureOf({ provider_specific_fields: { thought_signature: "b" } })).toBe("b");
  expect(signatureOf({ extra_content: "x" })).toBeUndefined();
});
