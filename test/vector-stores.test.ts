/** Vector stores against a running gateway, by OpenAI's own client; what a crash does, and hostile input. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import type { JsonObject } from "../src/domain/json.ts";
import type { Outbound } from "../src/security/outbound.ts";
import { openVectorTable } from "../src/storage/sqlite/vector-table.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const yaml = `
model_list:
  - model_name: embed
    litellm_params: {model: openai/text-embedding-3-small, api_key: sk, input_cost_per_token: 0.00000002, output_cost_per_token: 0}
  - model_name: llama
    litellm_params: {model: groq/llama-3, api_key: gsk}
`;

let it: TestGateway;
let client: OpenAI;
let embedded: string[] = [];
let chats: JsonObject[] = [];
let chat: (body: JsonObject) => Response;

beforeAll(async () => {
  const outbound: Outbound = {
    async fetch({ url, body }) {
      const sent = JSON.parse(String(body));
      if (url.endsWith("/embeddings")) {
        embedded.push(...sent.input);
        const data = sent.input.map((text: string, index: number) => ({
          object: "embedding",
          index,
          // A direction for cats, one for all else.
          embedding: /cat/i.test(text) ? [1, 0, 0.1] : [0, 1, 0.1],
        }));
        const usage = { prompt_tokens: 10, total_tokens: 10 };
        return Response.json({ object: "list", data, model: "text-embedding-3-small", usage });
      }
      chats.push(sent);
      return chat(sent);
    },
  };
  it = await startTestGateway({ yaml, outbound });
  client = new OpenAI({ apiKey: "k", baseURL: `${it.gateway.url}/v1`, maxRetries: 0 });
});
afterAll(() => it.gateway.close());

const upload = async (text: string | Uint8Array, name: string) =>
  (
    await client.files.create({
      file: await toFile(Buffer.from(text), name),
      purpose: "assistants",
    })
  ).id;
const poll = { pollIntervalMs: 20 };
const failureOf = (work: PromiseLike<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

const texts = {
  "cats.md": "# Cats\n\nA cat sleeps for most of the day and purrs when it is content.",
  "engines.txt":
    "A diesel engine ignites its fuel by compression. The model XK-4711 has six cylinders.",
  "bread.html":
    "<html><head><style>p{color:red}</style></head><body><h1>Bread</h1><p>Knead the dough &amp; let it rise.</p><script>evil()</script></body></html>",
} as const;

async function storeOf(files: Readonly<Record<string, string | Uint8Array>>, more: object = {}) {
  const ids: Record<string, string> = {};
  for (const [name, text] of Object.entries(files)) ids[name] = await upload(text, name);
  const store = await client.vectorStores.create({ name: "library", ...more });
  const batch = await client.vectorStores.fileBatches.createAndPoll(
    store.id,
    { file_ids: Object.values(ids) },
    poll,
  );
  return { store, ids, batch };
}

test("files become passages that are found by meaning and by words", async () => {
  const { store, ids, batch } = await storeOf(texts);
  expect(batch).toMatchObject({ status: "completed", file_counts: { completed: 3, total: 3 } });
  const held = await client.vectorStores.retrieve(store.id);
  expect(held).toMatchObject({
    object: "vector_store",
    name: "library",
    status: "completed",
    file_counts: { completed: 3, failed: 0, in_progress: 0, total: 3 },
  });
  expect(held.usage_bytes).toBeGreaterThan(100);
  const asked: readonly (readonly [string, keyof typeof texts])[] = [
    ["Which animal purrs?", "cats.md"],
    ["How do I bake a loaf?", "bread.html"],
    ["XK-4711", "engines.txt"],
  ];
  for (const [query, name] of asked) {
    const page = await client.vectorStores.search(store.id, { query, max_num_results: 2 });
    expect([query, page.data[0]?.filename]).toEqual([query, name]);
    expect(page.data[0]).toMatchObject({ file_id: ids[name], content: [{ type: "text" }] });
    expect(page.data[0]?.score).toBeWithin(0, 1.0001);
  }
  const file = await client.vectorStores.files.retrieve(ids["bread.html"] ?? "", {
    vector_store_id: store.id,
  });
  expect(file).toMatchObject({
    object: "vector_store.file",
    status: "completed",
    last_error: null,
    chunking_strategy: { type: "static", static: { max_chunk_size_tokens: 800 } },
  });
  const content = await client.vectorStores.files.content(ids["bread.html"] ?? "", {
    vector_store_id: store.id,
  });
  expect(content.data.map(({ text }) => text)).toEqual(["Bread\nKnead the dough & let it rise."]);

  await client.vectorStores.files.delete(ids["cats.md"] ?? "", { vector_store_id: store.id });
  const without = await client.vectorStores.search(store.id, { query: "Which animal purrs?" });
  expect(without.data.map(({ filename }) => filename)).not.toContain("cats.md");
  expect(await client.vectorStores.delete(store.id)).toMatchObject({ deleted: true });
  expect(await failureOf(client.vectorStores.retrieve(store.id))).toMatchObject({ status: 404 });
});

test("attributes filter, and change", async () => {
  const store = await client.vectorStores.create({ name: "f" });
  const years = [2019, 2022, 2024];
  const ids: string[] = [];
  for (const year of years) {
    const id = await upload(`The annual report of the year ${year}.`, `${year}.txt`);
    ids.push(id);
    await client.vectorStores.files.createAndPoll(
      store.id,
      { file_id: id, attributes: { year, lang: year === 2022 ? "fr" : "en" } },
      poll,
    );
  }
  const found = async (filters: OpenAI.VectorStoreSearchParams["filters"]) => {
    const page = await client.vectorStores.search(store.id, {
      query: "annual report",
      ...(filters ? { filters } : {}),
    });
    return page.data.map(({ attributes }) => attributes?.["year"]).sort();
  };
  expect(await found({ type: "gte", key: "year", value: 2022 })).toEqual([2022, 2024]);
  expect(
    await found({
      type: "and",
      filters: [
        { type: "eq", key: "lang", value: "en" },
        { type: "lt", key: "year", value: 2020 },
      ],
    }),
  ).toEqual([2019]);
  expect(await found({ type: "ne", key: "lang", value: "en" })).toEqual([2022]);
  await client.vectorStores.files.update(ids[0] ?? "", {
    vector_store_id: store.id,
    attributes: { year: 2030 },
  });
  expect(await found({ type: "gt", key: "year", value: 2024 })).toEqual([2030]);
  const pages: string[] = [];
  for await (const file of client.vectorStores.files.list(store.id, { limit: 1, order: "asc" })) {
    pages.push(file.id);
  }
  expect(pages).toEqual(ids);
});

test("a model of the gateway embeds where the store names one", async () => {
  embedded = [];
  const { store } = await storeOf(
    { "a.txt": "My cat is grey.", "b.txt": "My boat is blue." },
    { embedding_model: "embed" },
  );
  const page = await client.vectorStores.search(store.id, {
    query: "catkin",
    ranking_options: { score_threshold: 0.5 },
  });
  expect(page.data.map(({ filename }) => filename)).toEqual(["a.txt"]);
  expect(embedded.sort()).toEqual(["My boat is blue.", "My cat is grey.", "catkin"]);
});

test("an assistant searches its store by itself", async () => {
  const { store } = await storeOf({ "engines.txt": texts["engines.txt"] });
  chats = [];
  const stream = (delta: object, finish: string) =>
    new Response(
      `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\ndata: [DONE]\n\n`,
      { headers: { "content-type": "text/event-stream" } },
    );
  chat = ({ messages }) =>
    (messages as JsonObject[]).some(({ role }) => role === "tool")
      ? stream({ content: "Six." }, "stop")
      : stream(
          {
            tool_calls: [
              {
                index: 0,
                id: "c1",
                type: "function",
                function: { name: "file_search", arguments: '{"query":"cylinders of XK-4711"}' },
              },
            ],
          },
          "tool_calls",
        );
  const assistant = await client.beta.assistants.create({
    model: "llama",
    tools: [{ type: "file_search" }],
    tool_resources: { file_search: { vector_store_ids: [store.id] } },
  });
  const run = await client.beta.threads.createAndRunPoll(
    {
      assistant_id: assistant.id,
      thread: { messages: [{ role: "user", content: "How many cylinders?" }] },
    },
    poll,
  );
  expect(run.status).toBe("completed");
  const [, , , tool] = [undefined, ...((chats[1]?.["messages"] ?? []) as JsonObject[])];
  expect(String(tool?.["content"])).toContain("six cylinders");
});

describe("files that cannot be read say why", () => {
  const cases: readonly (readonly [string, Uint8Array | string, string, string])[] = [
    ["a picture", Buffer.from("89504e470d0a1a0a0000000d", "hex"), "a.png", "unsupported_file"],
    ["half a PDF", "%PDF-1.7\n1 0 obj", "a.pdf", "invalid_file"],
    ["an archive", "PK\x03\x04nothing", "a.docx", "invalid_file"],
    ["nothing", "  \n ", "a.txt", "invalid_file"],
  ];
  test.each(cases)("%s", async (_name, bytes, name, code) => {
    const store = await client.vectorStores.create({ name: "x" });
    const file = await client.vectorStores.files.createAndPoll(
      store.id,
      { file_id: await upload(bytes, name) },
      poll,
    );
    expect(file).toMatchObject({ status: "failed", last_error: { code } });
  });

  test("one that takes longer than the limit", async () => {
    const hurried = await startTestGateway({
      yaml: `${yaml}routeiq_settings: {vector_stores: {document_timeout_ms: 1}}`,
    });
    try {
      const there = new OpenAI({ apiKey: "k", baseURL: `${hurried.gateway.url}/v1` });
      const file = await toFile(Buffer.from("<p>Knead the dough.".repeat(200_000)), "a.html");
      const { id } = await there.files.create({ file, purpose: "assistants" });
      const store = await there.vectorStores.create({ name: "x" });
      const told = await there.vectorStores.files.createAndPoll(store.id, { file_id: id }, poll);
      expect(told).toMatchObject({
        status: "failed",
        last_error: {
          code: "invalid_file",
          message: expect.stringContaining("document_timeout_ms"),
        },
      });
    } finally {
      await hurried.gateway.close();
    }
  });

  test("a PDF that is whole is read", async () => {
    const { store } = await storeOf({ "a.pdf": onePagePdf("The lighthouse keeper counts ships.") });
    const page = await client.vectorStores.search(store.id, { query: "lighthouse" });
    expect(page.data[0]?.content[0]?.text).toContain("lighthouse keeper counts ships");
  });
});

/** The smallest PDF with a text in it. */
function onePagePdf(text: string): Uint8Array {
  const stream = `BT /F1 12 Tf 50 700 Td (${text}) Tj ET`;
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
    `<</Length ${stream.length}>>\nstream\n${stream}\nendstream`,
    "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
  ];
  let pdf = "%PDF-1.4\n";
  const offsets = objects.map((body, i) => {
    const at = pdf.length;
    pdf += `${i + 1} 0 obj\n${body}\nendobj\n`;
    return at;
  });
  const xref = pdf.length;
  const rows = offsets.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("");
  pdf += `xref\n0 6\n0000000000 65535 f \n${rows}trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n${xref}\n%%EOF`;
  return Buffer.from(pdf, "latin1");
}

describe("wrong input is refused by name", () => {
  const cases: readonly (readonly [string, string, object, string])[] = [
    ["no file", "files", { file_id: "file-none" }, "file_id"],
    ["no query", "search", {}, "query"],
    ["too many", "search", { query: "x", max_num_results: 51 }, "max_num_results"],
    [
      "a filter of none",
      "search",
      { query: "x", filters: { type: "like", key: "a", value: 1 } },
      "filters",
    ],
    ["no files", "file_batches", { file_ids: [] }, "file_ids"],
    [
      "too much overlap",
      "files",
      {
        file_id: "f",
        chunking_strategy: {
          type: "static",
          static: { max_chunk_size_tokens: 200, chunk_overlap_tokens: 150 },
        },
      },
      "chunk_overlap_tokens",
    ],
  ];
  test.each(cases)("%s", async (_name, path, body, param) => {
    const store = await client.vectorStores.create({ name: "x" });
    const answer = await fetch(`${it.gateway.url}/v1/vector_stores/${store.id}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { error } = (await answer.json()) as { error: { param: string } };
    expect([answer.status, error.param]).toEqual([400, param]);
  });
});

test("what a crash cut off is begun again, and lies in the store once", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "routeiq-vectors-"));
  const one = await startTestGateway({ yaml, dataDir });
  const api = new OpenAI({ apiKey: "k", baseURL: `${one.gateway.url}/v1`, maxRetries: 0 });
  const text = Array.from({ length: 200 }, (_, i) => `Paragraph ${i} tells of thing ${i * 7}.`);
  const file = await api.files.create({
    file: await toFile(Buffer.from(text.join("\n\n")), "long.txt"),
    purpose: "assistants",
  });
  const store = await api.vectorStores.create({ name: "x" });
  await api.vectorStores.files.create(store.id, { file_id: file.id });
  await one.gateway.close(); // in the middle, most likely
  const two = await startTestGateway({ yaml, dataDir });
  const next = new OpenAI({ apiKey: "k", baseURL: `${two.gateway.url}/v1`, maxRetries: 0 });
  const done = await next.vectorStores.files.poll(store.id, file.id, poll);
  expect(done.status).toBe("completed");
  const { data } = await next.vectorStores.files.content(file.id, { vector_store_id: store.id });
  const passages = data.map(({ text: passage }) => passage ?? "");
  expect(new Set(passages).size).toBe(passages.length);
  expect(passages.join("\n")).toContain("Paragraph 199");
  await two.gateway.close();
  rmSync(dataDir, { recursive: true });
});

test("a document is replaced whole, in memory as on disk", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "routeiq-vectors-"));
  const options = { dataDir, clock: createVirtualClock(), log: () => undefined };
  const table = openVectorTable(options);
  const passage = (text: string, ...vector: number[]) => ({
    text,
    vector: Float32Array.from(vector),
  });
  table.put("c", {
    id: "a",
    attributes: {},
    passages: [passage("one", 1, 0), passage("two", 0, 1)],
  });
  table.put("c", { id: "b", attributes: {}, passages: [passage("three", 0.9, 0.1)] });
  const near = (vector: readonly number[], of = table) =>
    of.search("c", { vector: Float32Array.from(vector), limit: 9 }).map(({ text }) => text);
  expect(near([1, 0])).toEqual(["one", "three", "two"]);
  table.put("c", { id: "a", attributes: {}, passages: [passage("four", 0.2, 0.8)] });
  expect(near([1, 0])).toEqual(["three", "four"]);
  table.remove("c", "b");
  expect(near([1, 0])).toEqual(["four"]);
  const wrong = { id: "z", attributes: {}, passages: [passage("x", 1, 2, 3)] };
  expect(() => table.put("c", wrong)).toThrow("cannot lie in one store");
  expect(near([0, 1], openVectorTable(options))).toEqual(["four"]);
  rmSync(dataDir, { recursive: true });
});
