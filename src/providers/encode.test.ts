/** When a caller's bytes travel, and what happens to them where they cannot. */
import { describe, expect, test } from "bun:test";
import { callerDialects } from "../dialects/registry.ts";
import type { Call } from "../domain/call.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import { encodeBody } from "./encode.ts";
import { findProvider } from "./registry.ts";

function call(text: string, more: Partial<Call> = {}): Call {
  const body = JSON.parse(text);
  return {
    id: "id",
    requestId: "id",
    operation: "chat",
    dialect: "openai-chat",
    requestedModel: body.model,
    stream: body.stream === true,
    text,
    body,
    headers: new Headers(),
    signal: new AbortController().signal,
    startedAtMs: 0,
    startedUs: 0,
    options: {},
    ...more,
  } as Call;
}

function encode(provider: string, sent: Call, more: Partial<Deployment> = {}): string {
  const found = findProvider(provider);
  if (!found) throw new Error(provider);
  const deployment: Deployment = {
    id: "d",
    group: "g",
    candidate: `${provider}/up`,
    provider,
    upstreamModel: "up",
    apiBase: "https://x",
    operation: "chat",
    facts: {},
    headers: {},
    body: {},
    ...more,
  };
  const sides = { caller: callerDialects[sent.dialect], provider: found.dialect };
  return encodeBody(sent, deployment, found, sides).body;
}

const messages = '"messages":[{"role":"user","content":"hi"}]';

describe("encodeBody", () => {
  test("bytes pass with the model's name alone changed, numbers and spaces as they were", () => {
    const text = `{ "model":"g", ${messages}, "temperature": 1.50, "x_new": 1e3 }`;
    expect(encode("openai", call(text))).toBe(text.replace('"g"', '"up"'));
  });

  test.each([
    ["a value like the key", `{"model":"g","user":"model",${messages}}`],
    ["a name within a name", `{"model":"g","user":"g","x":["g"],${messages}}`],
    ["the name before the key", `{"user":"g","model" :\n"g",${messages}}`],
    ["a tool's own model", `{"model":"g","tools":[{"model":"g"}],${messages}}`],
    ["a key that an escape hides", `{"mod\\u0065l":"other","model":"g",${messages}}`],
    ["a name written with escapes", `{"model":"\\u0067",${messages}}`],
    ["a name with quotes", `{"model":"a\\"b",${messages}}`],
  ])("the body's own model is renamed and nothing else: %s", (_, text) => {
    const sent = JSON.parse(encode("openai", call(text)));
    expect(sent).toEqual({ ...JSON.parse(text), model: "up" });
  });

  test("a text that names the provider's model already passes as it is, said once and plainly", () => {
    const text = `{ "model":"up", ${messages} }`;
    expect(encode("openai", call(text))).toBe(text);
    for (const first of ['"model":"g"', '"mod\\u0065l":"g"']) {
      const twice = `{${first},"model":"up",${messages}}`;
      const sent = encode("openai", call(twice));
      expect(sent).not.toContain('"g"');
      expect(JSON.parse(sent).model).toBe("up");
    }
  });

  test("a stream asks for usage; where the provider refuses the field, it goes without", () => {
    const text = `{"model":"g",${messages},"stream":true}`;
    expect(JSON.parse(encode("groq", call(text))).stream_options).toEqual({ include_usage: true });
    expect(JSON.parse(encode("mistral", call(text)))).not.toHaveProperty("stream_options");
  });

  test("what a provider's models call otherwise is renamed", () => {
    const text = `{"model":"g",${messages},"max_tokens":5}`;
    expect(encode("openai", call(text), { upstreamModel: "gpt-5-mini" })).toContain(
      '"max_completion_tokens":5',
    );
    expect(encode("openai", call(text), { upstreamModel: "gpt-4o" })).toContain('"max_tokens":5');
  });

  test("a parameter that the model refuses is refused, or dropped where that was asked for", () => {
    const text = `{"model":"g",${messages},"seed":1}`;
    const dropped = (sent: Call, more: Partial<Deployment> = {}): JsonObject =>
      JSON.parse(encode("anthropic", sent, { upstreamModel: "claude-sonnet-4-5", ...more }));
    expect(() => dropped(call(text))).toThrow("'seed' is not supported");
    expect(dropped(call(text), { dropParams: true })).not.toHaveProperty("seed");
    expect(dropped(call(text.replace('"seed"', '"drop_params":true,"seed"')))).not.toHaveProperty(
      "seed",
    );
    expect(dropped(call(text.replace('"g"', '"auto"')))).not.toHaveProperty("seed");
  });

  test("an Anthropic caller's limit is cut to what the other model can write", () => {
    const text = `{"model":"g",${messages},"max_tokens":32000}`;
    const sent = call(text, { dialect: "anthropic" });
    const body = JSON.parse(encode("openai", sent, { facts: { maxOutputTokens: 16_384 } }));
    expect(body.max_tokens).toBe(16_384);
  });
});
