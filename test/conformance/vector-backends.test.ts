/**
 * What every backend of vector stores must do, whatever it is. The embedded one and pgvector (a real
 * PostgreSQL: PGlite) are themselves; Qdrant, Weaviate and Pinecone are contract fakes.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../src/domain/json.ts";
import { createPostgres } from "../../src/security/postgres.ts";
import { systemClock } from "../../src/std/clock.ts";
import { openVectorTable } from "../../src/storage/sqlite/vector-table.ts";
import { createPgvector } from "../../src/storage/vector-backends/pgvector.ts";
import { createPinecone } from "../../src/storage/vector-backends/pinecone.ts";
import { createQdrant } from "../../src/storage/vector-backends/qdrant.ts";
import { createRest } from "../../src/storage/vector-backends/rest.ts";
import { createWeaviate } from "../../src/storage/vector-backends/weaviate.ts";
import { meets, type VectorFilter, type VectorStore } from "../../src/storage/vectors.ts";
import { startPostgres } from "../support/pglite.ts";
import {
  createFakePinecone,
  createFakeQdrant,
  createFakeWeaviate,
  type FakeDatabase,
} from "../support/vector-databases.ts";

interface Opened {
  readonly store: VectorStore;
  close(): Promise<void>;
}

function overRest(
  { outbound }: FakeDatabase,
  create: (of: { ask: ReturnType<typeof createRest>; prefix: string }) => VectorStore,
): Opened {
  const url = "https://vectors.example.com";
  const ask = createRest({ product: "It", url, headers: {}, outbound, clock: systemClock });
  const store = create({ ask, prefix: "routeiq_" });
  return { store, close: () => store.close() };
}

async function openEmbedded(): Promise<Opened> {
  const dataDir = mkdtempSync(join(tmpdir(), "routeiq-vectors-"));
  const table = openVectorTable({ dataDir, clock: systemClock, log: () => undefined });
  const store: VectorStore = {
    isWhole: true,
    put: async (...args) => table.put(...args),
    setAttributes: async (...args) => table.setAttributes(...args),
    remove: async (...args) => table.remove(...args),
    drop: async (...args) => table.drop(...args),
    search: async (...args) => table.search(...args),
    read: async (...args) => table.read(...args),
    close: async () => table.close(),
  };
  return {
    store,
    async close() {
      table.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

async function openPgvector(): Promise<Opened> {
  const server = await startPostgres();
  const db = createPostgres({ url: server.url, connections: 1 });
  const store = createPgvector({ db, table: "routeiq_passages" });
  return {
    store,
    async close() {
      await store.close();
      await server.close();
    },
  };
}

const backends: readonly (readonly [string, () => Promise<Opened>])[] = [
  ["embedded", openEmbedded],
  ["pgvector", openPgvector],
  ["qdrant (fake)", async () => overRest(createFakeQdrant(), createQdrant)],
  ["weaviate (fake)", async () => overRest(createFakeWeaviate(), createWeaviate)],
  ["pinecone (fake)", async () => overRest(createFakePinecone(3), createPinecone)],
];

const passage = (text: string, ...vector: number[]) => ({
  text,
  vector: Float32Array.from(vector),
});
const vector = (...numbers: number[]) => Float32Array.from(numbers);

/** Attributes of every kind, one with nothing; keys that need care. */
const shelf: Readonly<Record<string, JsonObject>> = {
  cats: { kind: "animal", year: 2020, ratio: 0.5, tame: true, "odd key.x": "a" },
  dogs: { kind: "animal", year: 2022, ratio: 1.5, tame: false },
  bread: { kind: "food", year: 2021 },
  bare: {},
};

const filters: readonly VectorFilter[] = [
  { type: "eq", key: "kind", value: "animal" },
  { type: "eq", key: "year", value: 2021 },
  { type: "eq", key: "ratio", value: 0.5 },
  { type: "eq", key: "tame", value: false },
  { type: "eq", key: "odd key.x", value: "a" },
  { type: "eq", key: "year", value: "2021" },
  { type: "ne", key: "kind", value: "animal" },
  { type: "ne", key: "tame", value: true },
  { type: "gt", key: "year", value: 2020 },
  { type: "gte", key: "year", value: 2021 },
  { type: "lt", key: "ratio", value: 1 },
  { type: "lte", key: "year", value: 2020 },
  { type: "in", key: "kind", value: ["food", "drink"] },
  { type: "in", key: "year", value: [2020, 2021] },
  { type: "in", key: "kind", value: [] },
  { type: "nin", key: "kind", value: ["food"] },
  { type: "nin", key: "year", value: [] },
  {
    type: "and",
    filters: [
      { type: "eq", key: "kind", value: "animal" },
      { type: "gt", key: "year", value: 2021 },
    ],
  },
  {
    type: "or",
    filters: [
      { type: "eq", key: "kind", value: "food" },
      { type: "eq", key: "tame", value: true },
    ],
  },
  { type: "and", filters: [] },
  { type: "or", filters: [] },
  {
    type: "or",
    filters: [
      { type: "and", filters: [{ type: "ne", key: "kind", value: "animal" }] },
      { type: "lt", key: "year", value: 2021 },
    ],
  },
];

describe.each(backends)("%s", (_name, open) => {
  let opened: Opened;
  let store: VectorStore;
  beforeAll(async () => {
    opened = await open();
    store = opened.store;
    const directions = { cats: [1, 0, 0], dogs: [0.9, 0.4, 0], bread: [0, 1, 0], bare: [0, 0, 1] };
    for (const [id, [x = 0, y = 0, z = 0]] of Object.entries(directions)) {
      const passages = [passage(`All about ${id}, of the XK-${id} kind.`, x, y, z)];
      await store.put("vs_shelf", { id, attributes: shelf[id] ?? {}, passages });
    }
  }, 120_000);
  afterAll(() => opened.close());

  const documentsOf = async (filter?: VectorFilter) => {
    const query = { vector: vector(1, 1, 1), limit: 20, ...(filter ? { filter } : {}) };
    return (await store.search("vs_shelf", query)).map(({ document }) => document).sort();
  };

  test("the nearest come first, with the cosine as their score", async () => {
    const found = await store.search("vs_shelf", { vector: vector(2, 0, 0), limit: 2 });
    expect(found.map(({ document }) => document)).toEqual(["cats", "dogs"]);
    expect(found[0]).toMatchObject({
      passage: 0,
      text: "All about cats, of the XK-cats kind.",
      attributes: shelf["cats"] ?? {},
    });
    expect(found[0]?.score).toBeCloseTo(1, 1);
    expect(found[1]?.score).toBeCloseTo(0.9 / Math.hypot(0.9, 0.4), 1);
  });

  test("a rare word outweighs a small distance", async () => {
    const query = { vector: vector(1, 0.1, 0), words: "all bread", limit: 3 };
    const weights = { vector: 0.2, words: 0.8 };
    const found = await store.search("vs_shelf", { ...query, weights });
    expect(found[0]?.document).toBe("bread");
    for (const { score } of found) expect(score).toBeWithin(0, 1.0001);
  });

  test.each(filters.map((filter) => [JSON.stringify(filter), filter] as const))(
    "the filter %s",
    async (_text, filter) => {
      const met = Object.entries(shelf).filter(([, attributes]) => meets(attributes, filter));
      expect(await documentsOf(filter)).toEqual(met.map(([id]) => id).sort());
    },
  );

  test("a document is replaced whole, read in order, and removed", async () => {
    const texts = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, i) => passage(`${prefix} ${i}`, 1, i, 0));
    await store.put("vs_long", { id: "d", attributes: { v: 1 }, passages: texts("old", 12) });
    await store.put("vs_long", { id: "e", attributes: {}, passages: texts("other", 2) });
    await store.put("vs_long", { id: "d", attributes: { v: 2 }, passages: texts("new", 7) });
    const expected = Array.from({ length: 7 }, (_, i) => `new ${i}`);
    expect(await store.read("vs_long", "d")).toEqual(expected);
    const found = await store.search("vs_long", { vector: vector(1, 0, 0), limit: 50 });
    expect(found).toHaveLength(9);
    expect(await store.remove("vs_long", "d")).toBe(7);
    expect(await store.read("vs_long", "d")).toEqual([]);
    expect(await store.read("vs_long", "e")).toHaveLength(2);
  });

  test("attributes change; what they were is forgotten", async () => {
    const passages = [passage("a", 1, 0, 0), passage("b", 0, 1, 0)];
    await store.put("vs_marks", { id: "d", attributes: { a: 1, b: "x" }, passages });
    await store.setAttributes("vs_marks", "d", { a: 2 });
    const search = (filter: VectorFilter) =>
      store.search("vs_marks", { vector: vector(1, 1, 0), limit: 9, filter });
    expect(await search({ type: "eq", key: "b", value: "x" })).toEqual([]);
    const found = await search({ type: "eq", key: "a", value: 2 });
    expect(found.map(({ attributes }) => attributes)).toEqual([{ a: 2 }, { a: 2 }]);
  });

  test("what is not there finds nothing", async () => {
    expect(await store.search("vs_none", { vector: vector(1, 0, 0), limit: 3 })).toEqual([]);
    expect(await store.read("vs_none", "d")).toEqual([]);
    expect(await store.remove("vs_none", "d")).toBe(0);
    await store.drop("vs_none");
  });

  test("a dropped store is empty, and can be filled again", async () => {
    const one = { id: "d", attributes: {}, passages: [passage("a", 1, 0, 0)] };
    await store.put("vs_brief", one);
    await store.drop("vs_brief");
    expect(await store.search("vs_brief", { vector: vector(1, 0, 0), limit: 3 })).toEqual([]);
    await store.put("vs_brief", one);
    expect(await store.read("vs_brief", "d")).toEqual(["a"]);
  });

  test("vectors of another length are refused", async () => {
    const passages = [passage("a", 1, 0)];
    await expect(store.put("vs_shelf", { id: "x", attributes: {}, passages })).rejects.toThrow(
      /numbers|dimension|length/i,
    );
  });

  test("texts with quotes, line ends and other scripts come back as they were", async () => {
    const text = 'He said "no\\n", she: «да»\n{ Get } 猫 \u2028 🐈';
    await store.put("vs_text", { id: "d", attributes: {}, passages: [passage(text, 1, 0, 0)] });
    expect(await store.read("vs_text", "d")).toEqual([text]);
    const found = await store.search("vs_text", { vector: vector(1, 0, 0), words: text, limit: 1 });
    expect(found[0]?.text).toBe(text);
  });
});

describe("over REST", () => {
  const one = { id: "d", attributes: {}, passages: [passage("a", 1, 0, 0)] };

  test("a database that is busy for a moment is asked again", async () => {
    const fake = createFakeQdrant();
    fake.failNext(503, 429);
    const { store } = overRest(fake, createQdrant);
    await store.put("vs", one);
    expect(await store.read("vs", "d")).toEqual(["a"]);
  });

  test("one that refuses is not, and its words are told", async () => {
    const fake = createFakePinecone(3);
    fake.failNext(401);
    const { store } = overRest(fake, createPinecone);
    const refused = store.search("vs", { vector: vector(1, 0, 0), limit: 1 });
    await expect(refused).rejects.toMatchObject({
      code: "storage_failed",
      message: "It failed: it answered 401: scripted",
    });
    expect(fake.seen).toHaveLength(1);
  });
});
