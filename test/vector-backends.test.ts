/** Vector stores on databases beside the embedded one, through the API: made, filled, asked, removed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import {
  createFakePinecone,
  createFakeQdrant,
  type FakeDatabase,
} from "./support/vector-databases.ts";

let it: TestGateway;
let qdrant: FakeDatabase;
let pinecone: FakeDatabase;
const toYaml = (backends: string) => `
model_list: []
routeiq_settings:
  vector_stores:
    backends:
      ${backends}
`;
const both = `near: {provider: qdrant, url: "https://qdrant.example.com:6333/", api_key: os.environ/QDRANT_KEY}
      far: {provider: pinecone, url: index-1.svc.pinecone.io, api_key: pc-secret}`;

beforeAll(async () => {
  qdrant = createFakeQdrant();
  pinecone = createFakePinecone(4); // the built-in embedder's vectors do not fit
  it = await startTestGateway({
    yaml: toYaml(both),
    env: { QDRANT_KEY: "qd-secret" },
    outbound: {
      fetch: (request) =>
        (request.url.includes("qdrant") ? qdrant : pinecone).outbound.fetch(request),
    },
  });
});
afterAll(() => it.gateway.close());

interface Reply {
  readonly status: number;
  readonly body: ReturnType<typeof JSON.parse>; // looked at field by field
}
async function ask(path: string, body?: object, method = body ? "POST" : "GET"): Promise<Reply> {
  const response = await fetch(`${it.gateway.url}/v1${path}`, {
    method,
    ...(body
      ? { body: JSON.stringify(body), headers: { "content-type": "application/json" } }
      : {}),
  });
  return { status: response.status, body: await response.json() };
}

async function upload(text: string): Promise<string> {
  const form = new FormData();
  form.set("purpose", "assistants");
  form.set("file", new File([text], "a.txt"));
  const response = await fetch(`${it.gateway.url}/v1/files`, { method: "POST", body: form });
  return ((await response.json()) as { id: string }).id;
}

/** A file's state, once it is settled. */
async function settled(store: string, file: string): Promise<Reply["body"]> {
  for (;;) {
    const { body } = await ask(`/vector_stores/${store}/files/${file}`);
    if (body.status !== "in_progress") return body;
    await Bun.sleep(5);
  }
}

test("a store on Qdrant is filled, asked, changed and removed; the key goes along", async () => {
  const cats = await upload("A cat sleeps for most of the day and purrs.");
  const engines = await upload("A diesel engine ignites its fuel by compression.");
  const { body: store } = await ask("/vector_stores", { name: "s", backend: "near" });
  expect(store.backend).toBe("near");
  for (const [file_id, kind] of [
    [cats, "animal"],
    [engines, "machine"],
  ] as const) {
    await ask(`/vector_stores/${store.id}/files`, { file_id, attributes: { kind } });
    expect(await settled(store.id, file_id)).toMatchObject({
      status: "completed",
      last_error: null,
    });
  }
  const search = async (more: object = {}) => {
    const asked = { query: "Which animal purrs?", ...more };
    const { body } = await ask(`/vector_stores/${store.id}/search`, asked);
    return body.data.map(({ file_id }: { file_id: string }) => file_id);
  };
  expect((await search())[0]).toBe(cats);
  const machines = { filters: { type: "eq", key: "kind", value: "machine" } };
  expect(await search(machines)).toEqual([engines]);
  await ask(`/vector_stores/${store.id}/files/${cats}`, { attributes: { kind: "machine" } });
  expect((await search(machines)).sort()).toEqual([cats, engines].sort());
  const { body: content } = await ask(`/vector_stores/${store.id}/files/${cats}/content`);
  expect(content.data[0].text).toContain("purrs");
  const { body: held } = await ask(`/vector_stores/${store.id}`);
  expect(held.usage_bytes).toBeGreaterThan(100);
  await ask(`/vector_stores/${store.id}/files/${cats}`, undefined, "DELETE");
  expect(await search()).toEqual([engines]);
  await ask(`/vector_stores/${store.id}`, undefined, "DELETE");
  expect(qdrant.seen.at(-1)).toMatchObject({ method: "DELETE", trust: "operator" });
  expect(qdrant.seen.every(({ headers }) => headers["api-key"] === "qd-secret")).toBe(true);
  expect(qdrant.seen[0]?.url).toStartWith(
    "https://qdrant.example.com:6333/collections/routeiq_vs_",
  );
});

test("what a database refuses is the file's error, and no key is in it", async () => {
  const file_id = await upload("Some text.");
  const { body: store } = await ask("/vector_stores", { backend: "far", file_ids: [file_id] });
  const { status, last_error } = await settled(store.id, file_id);
  expect(status).toBe("failed");
  expect(last_error.message).toMatch(/^Pinecone failed: it answered 400: Vector dimension/);
  expect(JSON.stringify(last_error)).not.toContain("pc-secret");
});

test("files on their way in are not found, though the database has them", async () => {
  const file_id = await upload("Half of it is written.");
  const { body: store } = await ask("/vector_stores", { backend: "near", file_ids: [file_id] });
  await settled(store.id, file_id);
  const found = async () =>
    (await ask(`/vector_stores/${store.id}/search`, { query: "half" })).body.data.length;
  expect(await found()).toBe(1);
  const { records } = it.gateway;
  const id = `${store.id}.${file_id}`;
  await records.update("vector-store-file", id, ({ value }) => ({ value, tag: "cancelled" }));
  expect(await found()).toBe(0);
});

test("a backend that is not there is named, with those that are", async () => {
  const { status, body } = await ask("/vector_stores", { backend: "nowhere" });
  expect([status, body.error.message]).toEqual([
    400,
    "'backend' cannot be 'nowhere': there are embedded, near, far.",
  ]);
});

test("one that is configured no more is told when its store is asked", async () => {
  const { body: store } = await ask("/vector_stores", { backend: "near" });
  it.setYaml(toYaml("far: {provider: pinecone, url: x.pinecone.io}"));
  await it.gateway.reloader.reload("api");
  const { status, body } = await ask(`/vector_stores/${store.id}/search`, { query: "a" });
  expect([status, body.error.message]).toEqual([503, expect.stringContaining("'near'")]);
  it.setYaml(toYaml(both));
  await it.gateway.reloader.reload("api");
  expect((await ask(`/vector_stores/${store.id}/search`, { query: "a" })).status).toBe(200);
});
