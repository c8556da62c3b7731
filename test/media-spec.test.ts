/**
 * Moderations, embeddings and transcripts of providers with words of their own, against OpenAI's own
 * OpenAPI document. The answers are those of their references: docs.mistral.ai, docs.cohere.com,
 * github.com/ollama/ollama/blob/main/docs/api.md.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { JsonObject } from "../src/domain/json.ts";
import type { Operation } from "../src/domain/model.ts";
import { handle } from "../src/pipeline/handle.ts";
import { isWhole } from "../src/pipeline/reply.ts";
import { mistralTranscript } from "../src/providers/mistral-media.ts";
import { usageOfReply } from "../src/providers/usage-of-reply.ts";
import { readOpenApi } from "./support/openapi.ts";
import { arrivalOf, configOf, createTestServices } from "./support/services.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const repository = join(import.meta.dir, "..");
const data = process.env["ROUTEIQ_TEST_DATA"] ?? join(repository, "../shared/data");
const found = await readOpenApi(join(data, "specs/openai.openapi.json.gz"));
const api = found ?? { problems: () => [] };
const name = found
  ? "held to OpenAI's document"
  : "held to OpenAI's document (skipped: it is not there)";

async function ask(model: string, operation: Operation, wire: JsonObject): Promise<JsonObject> {
  const yaml = JSON.stringify({
    model_list: [
      {
        model_name: "m",
        litellm_params: { model, api_key: "k", api_base: "http://up.test" },
        model_info: { mode: operation },
      },
    ],
  });
  const clock = createVirtualClock();
  const outbound = { fetch: () => Promise.resolve(Response.json(wire)) };
  const services = createTestServices(await configOf(yaml), { clock, outbound });
  const arrival = arrivalOf({ model: "m", input: "hi" }, clock, { operation });
  const { body } = await handle(arrival, services);
  if (!isWhole(body)) throw new Error("it is whole");
  return JSON.parse(typeof body === "string" ? body : new TextDecoder().decode(body));
}

const mistralUsage = { prompt_tokens: 9, completion_tokens: 0, total_tokens: 9 };
const told = {
  sexual: false,
  hate_and_discrimination: false,
  violence_and_threats: true,
  dangerous_and_criminal_content: false,
  selfharm: false,
  health: false,
  financial: false,
  law: false,
  pii: false,
};
const scores = Object.fromEntries(
  Object.entries(told).map(([key, flagged]) => [key, flagged ? 0.99 : 0.01]),
);
const moderated = (categories: JsonObject) => ({
  id: "091b378dec1444e2a4800d6915aad0fa",
  model: "mistral-moderation-latest",
  usage: mistralUsage,
  results: [{ categories, category_scores: scores }],
});

const replies: readonly (readonly [string, Operation, string, JsonObject])[] = [
  ["mistral/mistral-moderation-latest", "moderation", "CreateModerationResponse", moderated(told)],
  [
    "mistral/mistral-embed",
    "embedding",
    "CreateEmbeddingResponse",
    {
      id: "e",
      object: "list",
      model: "mistral-embed",
      data: [{ object: "embedding", index: 0, embedding: [0.5, 1] }],
      usage: mistralUsage,
    },
  ],
  [
    "cohere/embed-v4.0",
    "embedding",
    "CreateEmbeddingResponse",
    {
      id: "e",
      embeddings: { float: [[0.5, 1]] },
      texts: ["hi"],
      meta: { api_version: { version: "2" }, billed_units: { input_tokens: 1 } },
    },
  ],
  [
    "ollama/nomic-embed-text",
    "embedding",
    "CreateEmbeddingResponse",
    { model: "nomic-embed-text", embeddings: [[0.5, 1]], prompt_eval_count: 1 },
  ],
];

describe.skipIf(!found)(name, () => {
  test.each(replies)("%s: %s", async (model, operation, schema, wire) => {
    expect(api.problems(schema, await ask(model, operation, wire))).toEqual([]);
  });

  test.each(Object.entries(transcripts()))("a transcript of Mistral's, by %s", (_, wire) => {
    const reply = mistralTranscript.reply?.(wire) ?? {};
    expect(api.problems("CreateTranscriptionResponseJson", reply)).toEqual([]);
  });

  test("what is wrong is found", () => {
    expect(api.problems("CreateModerationResponse", moderated(told))).not.toEqual([]);
    const [wire] = Object.values(transcripts());
    expect(api.problems("CreateTranscriptionResponseJson", wire)).not.toEqual([]);
  });
});

function transcripts() {
  const facts = { model: "voxtral-mini-latest", text: "one two", language: null, segments: [] };
  return {
    seconds: { ...facts, usage: { ...mistralUsage, prompt_audio_seconds: 203 } },
    tokens: { ...facts, usage: mistralUsage },
  };
}

describe("moderations of Mistral's", () => {
  const cases: readonly (readonly [string, JsonObject, boolean, readonly string[]])[] = [
    ["nothing", { ...told, violence_and_threats: false }, false, []],
    ["violence", told, true, ["violence"]],
    ["what OpenAI has no name for", { ...told, violence_and_threats: false, pii: true }, true, []],
    ["the newer names", { sexual: false, criminal: true }, true, ["illicit"]],
  ];
  test.each(cases)("%s", async (_, wire, flagged, names) => {
    const reply = await ask("mistral/mistral-moderation-latest", "moderation", moderated(wire));
    const [result] = reply["results"] as readonly { flagged: boolean; categories: JsonObject }[];
    expect(result?.flagged).toBe(flagged);
    const all = Object.entries(result?.categories ?? {});
    const ours = all.filter(([key, on]) => on && !(key in wire)).map(([key]) => key);
    expect(ours).toEqual([...names]);
    expect(result?.categories).toMatchObject(wire);
  });
});

test("a transcript's seconds are what it costs", () => {
  const reply = mistralTranscript.reply?.(transcripts().seconds) ?? {};
  expect(usageOfReply("audio_transcription", {}, reply).units).toEqual({ seconds: 203 });
});
