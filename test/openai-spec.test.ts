/**
 * What the Responses dialect writes, of every recorded reply and stream of every provider, against
 * OpenAI's own OpenAPI document.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";
import type { Answer, ProviderDialect } from "../src/dialects/dialect.ts";
import { dialects } from "../src/dialects/registry.ts";
import { GatewayError } from "../src/domain/errors.ts";
import type { JsonObject } from "../src/domain/json.ts";
import { toItems } from "../src/resources/responses/items.ts";
import { toPage } from "../src/resources/responses/page.ts";
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
const target = dialects["openai-responses"];

const answer: Answer = {
  callId: "019aa0f0-0000-7000-8000-0123456789ab",
  createdS: 1_700_000_000,
  body: {
    model: "auto",
    input: "hi",
    instructions: "Be brief.",
    metadata: { run: "7" },
    temperature: 0.5,
    max_output_tokens: 100,
    reasoning: { effort: "low", summary: "auto" },
    text: { format: { type: "json_schema", name: "x", schema: { type: "object" }, strict: true } },
    tools: [
      { type: "function", name: "get_weather", parameters: { type: "object" } },
      { type: "custom", name: "get_time", description: "The time." },
    ],
    tool_choice: { type: "function", name: "get_weather" },
    user: "u",
  },
  echo: { previous_response_id: "resp_1" },
};

async function* each(frames: readonly SseFrame[]): AsyncGenerator<SseFrame> {
  yield* frames;
}

/** The stream's events; one that breaks off tells how. */
async function eventsOf(wire: StreamWire, from: ProviderDialect): Promise<JsonObject[]> {
  const events: JsonObject[] = [];
  const parser = createSseParser();
  try {
    const frames = await framesIn(bytesOf(wire), from, 1 << 20);
    const chunks = from.decodeStream(each(frames), { createdS: 1_700_000_000 });
    const asked = { model: "auto", messages: [] };
    for await (const text of target.encodeStream(chunks, asked, answer)) {
      for (const { event, data: json } of parser.push(new TextEncoder().encode(text))) {
        const body = JSON.parse(json) as JsonObject;
        expect(event).toBe(String(body["type"]));
        events.push(body);
      }
    }
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
  }
  return events;
}

describe.skipIf(!found)(name, () => {
  test.each(names)("%s", async (fixture) => {
    const { kind, wire } = await Bun.file(join(fixtures, fixture)).json();
    const from = dialectOf(fixture);
    if (kind === "stream") {
      const events = await eventsOf(wire, from);
      const schema = "ResponseStreamEvent";
      expect(events.flatMap((event) => api.problems(schema, event))).toEqual([]);
      expect(events.map((event) => event["sequence_number"])).toEqual(events.map((_, i) => i));
      return;
    }
    const response = await new Promise<JsonObject>((resolve) =>
      resolve(target.encodeReply(from.decodeReply(wire, { createdS: 1_700_000_000 }), answer)),
    ).catch((thrown) => {
      if (thrown instanceof GatewayError) return undefined; // the fixture is of an error
      throw thrown;
    });
    if (response) expect(api.problems("Response", response)).toEqual([]);
  });

  test("a list of input items", () => {
    const input = [
      { role: "user", content: "hi" },
      {
        role: "developer",
        content: [{ type: "input_image", image_url: "https://x.example/a.png" }],
      },
      { role: "assistant", content: "hello" },
      { type: "reasoning", summary: [] },
      { type: "function_call", call_id: "call_1", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "call_1", output: "1" },
      { type: "custom_tool_call", call_id: "call_2", name: "g", input: "x" },
      { type: "custom_tool_call_output", call_id: "call_2", output: "1" },
    ];
    const items = toItems(input, "resp_019aa0f000007000800000123456789ab");
    const page = toPage(items, new URLSearchParams("limit=100"));
    expect(api.problems("ResponseItemList", page)).toEqual([]);
  });

  test("an error event", () => {
    const text = target.encodeStreamError(new GatewayError("rate_limited", "Slow down."));
    const [frame] = createSseParser().push(new TextEncoder().encode(text));
    expect(api.problems("ResponseErrorEvent", JSON.parse(frame?.data ?? ""))).toEqual([]);
  });

  test("what is wrong is found", () => {
    expect(api.problems("ResponseErrorEvent", { type: "error", code: 7 })).not.toEqual([]);
    expect(api.problems("Response", { id: "resp_1" })).toContain(": output is missing");
  });
});
