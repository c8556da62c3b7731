/**
 * Chat completions against OpenAI's own OpenAPI document: of every recorded reply and stream of every
 * provider, and what the gateway itself answers at the other families' routes.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";
import type { ProviderDialect } from "../src/dialects/dialect.ts";
import { dialects } from "../src/dialects/registry.ts";
import { GatewayError } from "../src/domain/errors.ts";
import type { JsonObject } from "../src/domain/json.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { createSseParser, type SseFrame } from "../src/std/sse.ts";
import { createFamilyUpstream } from "./support/family-upstream.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { readOpenApi } from "./support/openapi.ts";

const repository = join(import.meta.dir, "..");
const data = process.env["ROUTEIQ_TEST_DATA"] ?? join(repository, "../shared/data");
const found = await readOpenApi(join(data, "specs/openai.openapi.json.gz"));
const api = found ?? { problems: () => [] };
const name = found
  ? "held to OpenAI's document"
  : "held to OpenAI's document (skipped: it is not there)";

const fixtures = join(import.meta.dir, "fixtures");
// The dialects whose recordings are events of text; others' frames are tested with them.
const folders =
  "{anthropic,gemini,openai-responses,openai,deepseek,groq,openrouter,vllm,ollama,gemini-compatible}";
const names = [...new Glob(`${folders}/{reply,stream}-*.json`).scanSync(fixtures)].sort();
const target = dialects["openai-chat"];

function sourceOf(fixture: string): ProviderDialect {
  const provider = fixture.split("/")[0] ?? "";
  const known = Object.values(dialects).find((dialect) => dialect.name === provider);
  return known ?? dialects["openai-chat"];
}

async function* framesOf(lines: readonly string[]): AsyncGenerator<SseFrame> {
  const parser = createSseParser();
  yield* parser.push(new TextEncoder().encode(`${lines.join("\n")}\n`));
  yield* parser.end();
}

/** The chunks; a stream that breaks off ends there. */
async function chunksOf(lines: readonly string[], from: ProviderDialect): Promise<JsonObject[]> {
  const chunks: JsonObject[] = [];
  const asked = { model: "auto", messages: [], stream_options: { include_usage: true } };
  try {
    const events = from.decodeStream(framesOf(lines), { createdS: 1 });
    for await (const text of target.encodeStream(events, asked)) {
      const json = text.replace(/^data: /, "").trim();
      if (json !== "[DONE]") chunks.push(JSON.parse(json));
    }
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
  }
  return chunks;
}

describe.skipIf(!found)(name, () => {
  // What OpenAI's own dialect carried is the provider's; what we wrote is held to every word of it.
  test.each(names.filter((fixture) => sourceOf(fixture) !== target))("%s", async (fixture) => {
    const { kind, wire } = await Bun.file(join(fixtures, fixture)).json();
    const from = sourceOf(fixture);
    if (kind === "stream") {
      const problems = (await chunksOf(wire, from)).flatMap((chunk) =>
        api.problems("CreateChatCompletionStreamResponse", chunk),
      );
      expect([...new Set(problems)]).toEqual([]);
      return;
    }
    let reply: JsonObject | undefined;
    try {
      reply = target.encodeReply(from.decodeReply(wire, { createdS: 1 }));
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown; // the fixture is of an error
    }
    if (reply) expect(api.problems("CreateChatCompletionResponse", reply)).toEqual([]);
  });

  describe("at the gateway's routes", () => {
    const upstream = createFamilyUpstream();
    let gateway: TestGateway;
    beforeAll(async () => {
      const at = `api_key: k, api_base: "${upstream.url}/v1"`;
      gateway = await startTestGateway({
        yaml: `
model_list:
  - {model_name: m, litellm_params: {model: openai/gpt-4o, ${at}}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: k, api_base: "${upstream.url}"}}
  - {model_name: embed, litellm_params: {model: openai/text-embedding-3-small, ${at}}}
  - {model_name: "wild/*", litellm_params: {model: "openai/*", ${at}}}
`,
        outbound: createOutbound(),
      });
    });
    afterAll(async () => {
      await gateway?.gateway.close();
      upstream.close();
    });

    const send = (path: string, body?: JsonObject) =>
      fetch(`${gateway.gateway.url}${path}`, {
        ...(body
          ? {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify(body),
            }
          : {}),
      });
    const messages = [{ role: "user", content: "hi" }];
    const answers: readonly (readonly [string, JsonObject | undefined, string, number?])[] = [
      ["/v1/models", undefined, "ListModelsResponse"],
      ["/v1/models/claude", undefined, "Model"],
      ["/v1/chat/completions", { model: "claude", messages }, "CreateChatCompletionResponse"],
      ["/v1/completions", { model: "claude", prompt: "hi" }, "CreateCompletionResponse"],
      ["/v1/responses", { model: "claude", input: "hi" }, "Response"],
      ["/v1/embeddings", { model: "embed", input: ["a", "b"] }, "CreateEmbeddingResponse"],
      ["/v1/images/generations", { model: "m", prompt: "x", n: 2 }, "ImagesResponse"],
      // Errors, each of another origin.
      ["/v1/chat/completions", { model: "nope", messages }, "ErrorResponse", 400],
      ["/v1/chat/completions", { model: "m", messages: [] }, "ErrorResponse", 400],
      ["/v1/embeddings", { model: "m" }, "ErrorResponse", 400],
      ["/v1/responses", { model: "m", input: 3 }, "ErrorResponse", 400],
      ["/v1/images/generations", { model: "m", prompt: "REFUSE" }, "ErrorResponse", 400],
      ["/v1/models/nope", undefined, "ErrorResponse", 404],
      ["/v1/nothing", undefined, "ErrorResponse", 404],
    ];
    test.each(answers)("%s %j: %s", async (path, body, schema, status = 200) => {
      const response = await send(path, body);
      const answer = await response.json();
      expect({ status: response.status, answer }).toMatchObject({ status });
      expect(api.problems(schema, answer)).toEqual([]);
    });

    const streams: readonly (readonly [string, JsonObject, string])[] = [
      ["/v1/chat/completions", { model: "claude", messages }, "CreateChatCompletionStreamResponse"],
      ["/v1/responses", { model: "claude", input: "hi" }, "ResponseStreamEvent"],
      ["/v1/responses", { model: "m", input: "hi", store: true }, "ResponseStreamEvent"],
    ];
    test.each(streams)("%s %j, streamed: %s", async (path, body, schema) => {
      const response = await send(path, { ...body, stream: true });
      const text = await response.text();
      const events = [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json]) =>
        JSON.parse(json ?? ""),
      );
      expect(events.length).toBeGreaterThan(2);
      expect([...new Set(events.flatMap((event) => api.problems(schema, event)))]).toEqual([]);
    });

    test("an error within a stream", async () => {
      const text = target.encodeStreamError(new GatewayError("rate_limited", "Slow down."));
      const json = JSON.parse(text.replace(/^data: /, ""));
      expect(api.problems("ErrorResponse", json)).toEqual([]);
    });
  });

  test("what is wrong is found", () => {
    expect(api.problems("CreateChatCompletionResponse", { id: "x" })).not.toEqual([]);
    expect(api.problems("ErrorResponse", { error: { message: "x" } })).not.toEqual([]);
  });
});
