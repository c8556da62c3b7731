/** Records: conditions, cursors, ends, owners; through the store and its table, in this thread. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import type { Remote } from "../std/rpc.ts";
import { recordFileName, recordLimits } from "./record-store.ts";
import { createSqliteRecordStore } from "./sqlite/record-store.ts";
import { openRecordTable } from "./sqlite/record-table.ts";
import type { RecordService } from "./sqlite/record-thread.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-records-"));
  folders.push(folder);
  return folder;
}

function world(dataDir = newFolder()) {
  const clock = createVirtualClock();
  const said: string[] = [];
  const health: (string | undefined)[] = [];
  let table: ReturnType<typeof openRecordTable> | undefined;
  const opened = () => {
    table ??= openRecordTable({
      dataDir,
      clock,
      log: (_level, message) => void said.push(message),
    });
    return table;
  };
  const service: RecordService = {
    open: () => undefined,
    get: ({ kind, id }) => opened().get(kind, id),
    put: ({ row, condition }) => opened().put(row, condition),
    putAll: (rows) => opened().putAll(rows),
    remove: ({ kind, id }) => opened().remove(kind, id),
    removeAll: ({ kind, parent }) => opened().removeAll(kind, parent),
    list: (query) => opened().list(query),
    count: (query) => opened().count(query),
    close: () => {
      table?.close();
      table = undefined;
    },
  };
  const remote = {
    call: async (method: keyof RecordService, params: never) => service[method](params),
  } as unknown as Remote<RecordService>;
  const store = createSqliteRecordStore({
    remote,
    dataDir,
    clock,
    onHealth: (problem) => void health.push(problem),
  });
  return { store, clock, said, health, dataDir };
}

const record = (id: string, more: object = {}) => ({ kind: "file", id, value: { id }, ...more });
const ids = (page: { readonly records: readonly { readonly id: string }[] }) =>
  page.records.map(({ id }) => id).join("");

test("what was put is got, and survives", async () => {
  const { store, dataDir } = world();
  const put = await store.put(record("a", { owner: "o", parent: "p", tag: "t" }));
  expect(put).toMatchObject({ owner: "o", parent: "p", tag: "t", version: 1, value: { id: "a" } });
  await store.close();
  expect(await world(dataDir).store.get("file", "a")).toEqual(put);
  expect(await world(dataDir).store.get("batch", "a")).toBeUndefined();
});

test("conditions hold, and a second writer's change is not undone", async () => {
  const { store } = world();
  await store.put(record("a", { owner: "first" }), { ifAbsent: true });
  expect(await store.put(record("a"), { ifAbsent: true })).toBeUndefined();
  const second = await store.put(record("a", { owner: "second" }), { ifVersion: 1 });
  expect(second).toMatchObject({ version: 2, owner: "first" });
  expect(await store.put(record("a"), { ifVersion: 1 })).toBeUndefined();
  const count = () =>
    store.update("file", "a", ({ value }) => ({ value: { n: Number(value["n"] ?? 0) + 1 } }));
  await Promise.all(Array.from({ length: 20 }, count));
  expect((await store.get("file", "a"))?.value).toEqual({ n: 20 });
  expect(await store.update("file", "none", () => ({ value: {} }))).toBeUndefined();
});

describe("pages", () => {
  const pages: readonly [string, object, string, boolean][] = [
    ["newest first", { limit: 9 }, "dcba", false],
    ["oldest first", { limit: 9, order: "asc" }, "abcd", false],
    ["the first two", { limit: 2 }, "dc", true],
    ["after one", { limit: 2, after: "c" }, "ba", false],
    ["after one, in part", { limit: 1, after: "c" }, "b", true],
    ["before one", { limit: 2, before: "a" }, "cb", true],
    ["before one, all", { limit: 9, before: "a" }, "dcb", false],
    ["before one, oldest first", { limit: 2, before: "d", order: "asc" }, "bc", true],
    ["between", { limit: 9, after: "d", before: "a" }, "cb", false],
    ["after nothing", { limit: 9, after: "x" }, "", false],
    ["an owner's", { limit: 9, owner: "me" }, "ca", false],
    ["with a tag", { limit: 9, tag: "even" }, "db", false],
  ];
  test.each(pages)("%s", async (_name, query, expected, hasMore) => {
    const { store, clock } = world();
    for (const [i, id] of ["a", "b", "c", "d"].entries()) {
      await store.put(record(id, i % 2 ? { owner: "you", tag: "even" } : { owner: "me" }));
      await clock.advance(i === 1 ? 0 : 5); // b and c were made at once: their ids decide
    }
    const page = await store.list({ kind: "file", limit: 1, ...query });
    expect([ids(page), page.hasMore]).toEqual([expected, hasMore]);
  });
});

test("it ends when its time comes, swept or not", async () => {
  const { store, clock } = world();
  await store.put(record("a", { expiresMs: clock.now() + 1000 }));
  await store.put(record("b"));
  await clock.advance(1000);
  expect(await store.get("file", "a")).toBeUndefined();
  expect(ids(await store.list({ kind: "file", limit: 9 }))).toBe("b");
  expect(await store.put(record("a"), { ifAbsent: true })).toMatchObject({ version: 1 });
});

test("parts go with what they belong to", async () => {
  const { store } = world();
  await store.putAll(["a", "b", "c"].map((id) => record(id, { parent: id === "c" ? "q" : "p" })));
  expect(await store.count({ kind: "file", parent: "p" })).toBe(2);
  expect(await store.removeAll("file", "p")).toBe(2);
  expect(ids(await store.list({ kind: "file", limit: 9 }))).toBe("c");
  expect([await store.remove("file", "c"), await store.remove("file", "c")]).toEqual([true, false]);
});

test("too much is refused", async () => {
  const { store } = world();
  const big = record("a", { value: { text: "x".repeat(recordLimits.bytes) } });
  expect(store.put(big)).rejects.toMatchObject({ code: "body_too_large" });
});

test("a damaged file is moved aside; one that cannot be made is told, and tried again", async () => {
  const damaged = newFolder();
  writeFileSync(join(damaged, recordFileName), "not a database, but long enough to be looked at");
  const it = world(damaged);
  await it.store.put(record("a"));
  expect(it.said[0]).toContain("is damaged");
  expect(readdirSync(damaged).some((name) => name.includes(".damaged-"))).toBe(true);

  const blocked = join(newFolder(), "data");
  writeFileSync(blocked, "");
  const other = world(blocked);
  expect(other.store.put(record("a"))).rejects.toMatchObject({ code: "storage_failed" });
  await other.store.put(record("a")).catch(() => undefined);
  expect(other.store.problem).toBeDefined();
  rmSync(blocked);
  await other.store.put(record("a"));
  expect(other.store.problem).toBeUndefined();
  expect(other.health).toHaveLength(2);
});
