/**
 * Text completions carried over chat, of every recorded reply and stream of every provider, against
 * OpenAI's own OpenAPI document; and a chat carried over completions, there and back.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";
import type { ProviderDialect } from "../src/dialects/dialect.ts";
import { callerDialects } from "../src/dialects/registry.ts";
import { GatewayError } from "../src/domain/errors.ts";
import type { JsonObject } from "../src/domain/json.ts";
import { createSseParser, type SseFrame } from "../src/std/sse.ts";
import { bytesOf, dialectOf, framesIn, type StreamWire } from "./support/fixtures.ts";
import { readOpenApi } from "./support/openapi.ts";

const repository = join(import.meta.dir, "..");
const data = process.env["ROUTEIQ_TEST_DATA"] ?? join(repository, "../shared/data");
const found = await readOpenApi(join(data, "specs/openai.openapi.json.gz"));
const api = found ?? { problems: () => [] };
const name = found
  ? "held to OpenAI's document"
  : "held to OpenAI's document (skipped: it is not there)";

const fixtures = join(import.meta.dir, "fixtures");
const names = [...new Glob("*/{reply,stream}-*.json").scanSync(fixtures)].sort();
const completions = callerDialects["openai-completions"];
const schema = "CreateCompletionResponse";

async function* framesOf(text: string): AsyncGenerator<SseFrame> {
  const parser = createSseParser();
  yield* parser.push(new TextEncoder().encode(text));
  yield* parser.end();
}

async function* each(frames: readonly SseFrame[]): AsyncGenerator<SseFrame> {
  yield* frames;
}

/** The events; a stream that breaks off ends there. */
async function eventsOf(wire: StreamWire, from: ProviderDialect): Promise<JsonObject[]> {
  const events: JsonObject[] = [];
  const asked = { model: "auto", messages: [], stream_options: { include_usage: true } };
  try {
    const frames = await framesIn(bytesOf(wire), from, 1 << 20);
    const chunks = from.decodeStream(each(frames), { createdS: 1 });
    for await (const text of completions.encodeStream(chunks, asked)) {
      const json = text.replace(/^data: /, "").trim();
      if (json !== "[DONE]") events.push(JSON.parse(json));
    }
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
  }
  return events;
}

/** OpenAI's document has the usage chunk's null on chat alone, and sends it here as well. */
const withoutNull = ({ usage, ...rest }: JsonObject): JsonObject =>
  usage === null ? rest : { ...rest, usage };
/** Its schema is of whole answers: a piece has no reason yet. */
const withReason = (event: JsonObject): JsonObject => ({
  ...withoutNull(event),
  choices: (event["choices"] as JsonObject[]).map((choice) => ({
    ...choice,
    finish_reason: choice["finish_reason"] ?? "stop",
  })),
});

describe.skipIf(!found)(name, () => {
  test.each(names)("%s", async (fixture) => {
    const { kind, wire } = await Bun.file(join(fixtures, fixture)).json();
    const from = dialectOf(fixture);
    if (kind === "stream") {
      const events = await eventsOf(wire, from);
      expect(events.flatMap((event) => api.problems(schema, withReason(event)))).toEqual([]);
      return;
    }
    const reply = await new Promise<JsonObject>((resolve) =>
      resolve(completions.encodeReply(from.decodeReply(wire, { createdS: 1 }))),
    ).catch((thrown) => {
      if (thrown instanceof GatewayError) return undefined; // the fixture is of an error
      throw thrown;
    });
    if (reply) expect(api.problems(schema, reply)).toEqual([]);
  });
});

describe("a chat with a model that only completes", () => {
  const ask = (content: string) => ({ role: "user" as const, content });
  test("one turn is the prompt, several are told apart", () => {
    const one = completions.encodeRequest({ model: "a", messages: [ask("hi")] }, "m");
    expect(one).toEqual({ model: "m", prompt: "hi" });
    const messages = [{ role: "system" as const, content: "Be brief." }, ask("hi")];
    const two = completions.encodeRequest({ model: "a", messages, max_completion_tokens: 5 }, "m");
    expect(two).toEqual({
      model: "m",
      prompt: "system: Be brief.\n\nuser: hi\n\nassistant:",
      max_tokens: 5,
    });
  });

  test("what it cannot do is refused by name, or left out", () => {
    const request = { model: "a", messages: [ask("hi")], tools: [{ type: "function" }] };
    expect(() => completions.encodeRequest(request, "m")).toThrow("'tools'");
    expect(completions.encodeRequest(request, "m", { dropParams: true })).toEqual({
      model: "m",
      prompt: "hi",
    });
    const image = { type: "image_url", image_url: { url: "data:," } };
    const seen = { model: "a", messages: [{ role: "user" as const, content: [image] }] };
    expect(() => completions.encodeRequest(seen, "m")).toThrow("text alone");
  });

  test("its answer is a message, whole and streamed", async () => {
    const choices = [{ text: "hi", index: 0, finish_reason: "stop" }];
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    expect(completions.decodeReply({ id: "c", choices, usage })).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
      usage,
    });
    const piece = (text: string, reason: string | null) =>
      `data: ${JSON.stringify({ choices: [{ text, index: 0, finish_reason: reason }] })}\n\n`;
    const frames = framesOf(`${piece("h", null)}${piece("i", "stop")}data: [DONE]\n\n`);
    const deltas: unknown[] = [];
    for await (const chunk of completions.decodeStream(frames))
      deltas.push(chunk.choices[0]?.delta);
    expect(deltas).toEqual([{ role: "assistant", content: "h" }, { content: "i" }]);
    const cut = completions.decodeStream(framesOf(piece("h", null)));
    await expect(Array.fromAsync(cut)).rejects.toThrow("before its answer was complete");
  });
});
