/** LiteLLM's rules for parameters: what is left out, let through, put right. */
import { expect, test } from "bun:test";
import type { ChatRequest } from "../domain/chat.ts";
import { GatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import { dropField, encodeAllowing, modified } from "./param-rules.ts";

const body: JsonObject = {
  seed: 1,
  response_format: { type: "json_schema", strict: true },
  tools: [
    { function: { name: "a", strict: true } },
    { function: { name: "b" } },
    { function: { name: "c", strict: false } },
  ],
  "a.b": 1,
};

const paths: readonly [string, (body: JsonObject) => unknown, unknown][] = [
  ["seed", ({ seed }) => seed, undefined],
  ["response_format.strict", (it) => it["response_format"], { type: "json_schema" }],
  [
    "tools[*].function.strict",
    (it) => it["tools"],
    [{ function: { name: "a" } }, { function: { name: "b" } }, { function: { name: "c" } }],
  ],
  ["tools[2].function", (it) => (it["tools"] as object[])[2], {}],
];
test.each(paths)("drops %s", (path, read, left) => {
  const before = structuredClone(body);
  expect(read(dropField(body, path))).toEqual(left);
  expect(body).toEqual(before);
});

test.each(["nothing", "seed.x", "tools[9].function", "tools.function", "", "__proto__", "[*]"])(
  "%s: nothing is there, and the body stays itself",
  (path) => expect(dropField(body, path)).toBe(body),
);

const request = (more: object): ChatRequest => ({
  model: "m",
  messages: [{ role: "user", content: "hi" }],
  ...more,
});

/** Refuses two fields by name, one after the other. */
function encode(asked: ChatRequest): JsonObject {
  for (const param of ["n", "seed"]) {
    if (param in asked) throw new GatewayError("invalid_request", param, { param });
  }
  return { said: true };
}

test("what is allowed is put beside the translation; the rest is refused as ever", () => {
  const both = request({ n: 2, seed: 1 });
  expect(encodeAllowing(both, encode, { allow: ["n", "seed"] })).toEqual({
    said: true,
    n: 2,
    seed: 1,
  });
  expect(() => encodeAllowing(both, encode, { allow: ["n"] })).toThrow("seed");
  expect(() => encodeAllowing(both, encode, {})).toThrow("n");
});

const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
const repairs: readonly [string, object, object][] = [
  ["nothing to mend", {}, {}],
  [
    "an assistant begins",
    {
      messages: [
        { role: "system", content: "s" },
        { role: "assistant", content: "a" },
      ],
    },
    {
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: "Please continue." },
        { role: "assistant", content: "a" },
      ],
    },
  ],
  ["too many tokens", { max_tokens: 999 }, { max_tokens: 100 }],
  ["not too many", { max_completion_tokens: 99 }, { max_completion_tokens: 99 }],
];
test.each(repairs)("modify: %s", (_name, asked, expected) => {
  expect(modified(request(asked), { maxOutputTokens: 100 })).toEqual(request(expected));
});

test("modify: tools that turns call are there", () => {
  const messages = [
    { role: "user", content: "x" },
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: "c", content: "y" },
  ];
  const { tools } = modified(request({ messages }), {});
  expect(tools).toMatchObject([{ function: { name: "dummy_tool" } }]);
});
