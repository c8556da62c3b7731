/** Azure's clients against the gateway: every family in both of Azure's forms of a path. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI, { AzureOpenAI, toFile } from "openai";
import { createOutbound } from "../src/security/outbound.ts";
import { createFamilyUpstream, type FamilyUpstream } from "./support/family-upstream.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const master = "sk-master-0123456789";
let upstream: FamilyUpstream;
let closed: TestGateway;
let open: TestGateway;

beforeAll(async () => {
  upstream = createFamilyUpstream();
  const row = (name: string, model: string, mode: string) =>
    `  - {model_name: ${name}, litellm_params: {model: openai/${model}, api_base: "${upstream.url}/own/v1", api_key: k}, model_info: {mode: ${mode}}}`;
  const yaml = [
    "model_list:",
    row("talks", "gpt-4o", "chat"),
    row("embeds", "text-embedding-3-small", "embedding"),
    row("draws", "gpt-image-1", "image_generation"),
    row("hears", "whisper-1", "audio_transcription"),
    row("speaks", "tts-1", "audio_speech"),
  ].join("\n");
  const env = { LITELLM_MASTER_KEY: master };
  const lent = { OPENAI_API_KEY: "sk-lent", OPENAI_BASE_URL: `${upstream.url}/lent/v1` };
  closed = await startTestGateway({ yaml, env, outbound: createOutbound() });
  open = await startTestGateway({ yaml, env: { ...env, ...lent }, outbound: createOutbound() });
});
afterAll(async () => {
  await closed.gateway.close();
  await open.gateway.close();
  upstream.close();
});

const clients = (gateway: () => TestGateway) =>
  ({
    "the v1 form": () =>
      new OpenAI({ apiKey: master, baseURL: `${gateway().gateway.url}/openai/v1`, maxRetries: 0 }),
    "the dated form": () =>
      new AzureOpenAI({
        apiKey: master,
        endpoint: gateway().gateway.url,
        apiVersion: "2025-04-01-preview",
        maxRetries: 0,
      }),
  }) as const;

const families: Readonly<Record<string, (client: OpenAI) => Promise<unknown>>> = {
  chat: (client) =>
    client.chat.completions.create({
      model: "talks",
      messages: [{ role: "user", content: "hi" }],
    }),
  embeddings: (client) => client.embeddings.create({ model: "embeds", input: "a" }),
  images: (client) => client.images.generate({ model: "draws", prompt: "a" }),
  speech: (client) => client.audio.speech.create({ model: "speaks", input: "a", voice: "alloy" }),
};

describe.each([
  ["where OpenAI's own way is closed", () => closed],
  ["where it is open", () => open],
] as const)("%s", (_where, gateway) => {
  describe.each(Object.entries(clients(gateway)))("%s", (_form, client) => {
    test.each(Object.entries(families))("%s goes to the gateway's model", async (_name, ask) => {
      await ask(client());
      expect(upstream.last().path).toStartWith("/own/v1/");
      expect(upstream.last().headers.get("authorization")).toBe("Bearer k");
    });

    test("responses are made, read and deleted here", async () => {
      const made = await client().responses.create({ model: "talks", input: "hi" });
      expect(made.output_text).toBe("one two");
      const read = await client().responses.retrieve(made.id);
      expect(read.id).toBe(made.id);
      const items = await client().responses.inputItems.list(made.id);
      expect(items.data).toHaveLength(1);
      await client().responses.delete(made.id);
    });
  });
});

test("a form names its model in the path, or has the way through", async () => {
  const file = await toFile(Buffer.from("sound"), "a.wav");
  const ask = (client: OpenAI) => client.audio.transcriptions.create({ model: "hears", file });
  const table: readonly (readonly [OpenAI, string])[] = [
    [clients(() => closed)["the v1 form"](), "/own/v1/"],
    [clients(() => closed)["the dated form"](), "/own/v1/"],
    [clients(() => open)["the dated form"](), "/own/v1/"],
    [clients(() => open)["the v1 form"](), "/lent/v1/"],
  ];
  for (const [client, path] of table) {
    await ask(client);
    expect(upstream.last().path).toStartWith(path);
  }
});

test("a model that is not configured here takes the way through, where there is one", async () => {
  const ask = (gateway: TestGateway) =>
    clients(() => gateway)
      ["the v1 form"]()
      .embeddings.create({ model: "elsewhere", input: "a" });
  await ask(open);
  expect(upstream.last().path).toBe("/lent/v1/embeddings");
  expect(upstream.last().headers.get("authorization")).toBe("Bearer sk-lent");
  const refused = await ask(closed).catch((error) => error.message);
  expect(refused).toContain("Invalid model name");
});

test("models are listed: the gateway's, or OpenAI's where its way is open", async () => {
  const list = async (gateway: TestGateway) =>
    (
      await clients(() => gateway)
        ["the v1 form"]()
        .models.list()
    ).data.map(({ id }) => id);
  expect(await list(closed)).toContain("talks");
  await list(open);
  expect(upstream.last().path).toBe("/lent/v1/models");
});

test("nobody without a key", async () => {
  const body = JSON.stringify({ model: "embeds", input: "a" });
  const headers = { "content-type": "application/json" };
  for (const { gateway } of [closed, open]) {
    for (const path of [
      "/openai/v1/embeddings",
      "/openai/v1/responses/resp_1",
      "/openai/v1/models",
    ]) {
      const method = path.endsWith("embeddings") ? "POST" : "GET";
      const init = method === "POST" ? { method, headers, body } : { method };
      const { status } = await fetch(gateway.url + path, init);
      expect([path, status]).toEqual([path, 401]);
    }
  }
});
