/** Records before and after they were sealed: old ones are read, written anew, and lost never. */
import { describe, expect, test } from "bun:test";
import { createSealer, type SealingSecrets } from "../security/sealing.ts";
import type { RecordStore, StoredRecord } from "./record-store.ts";
import { createSealedRecords } from "./sealed-records.ts";

/** As much of a store as is asked for here. */
function memoryStore() {
  const held = new Map<string, StoredRecord>();
  const store: Pick<RecordStore, "get" | "put" | "putAll" | "list"> = {
    get: async (kind, id) => held.get(`${kind} ${id}`),
    async put(record: { kind: string; id: string; value: StoredRecord["value"] }, condition = {}) {
      const before = held.get(`${record.kind} ${record.id}`);
      const { ifVersion } = condition as { ifVersion?: number };
      if (ifVersion !== undefined && before?.version !== ifVersion) return undefined as never;
      const version = (before?.version ?? 0) + 1;
      const facts = { owner: "", parent: "", tag: "", createdMs: 0, updatedMs: 0 };
      const next = { ...facts, ...record, version };
      held.set(`${record.kind} ${record.id}`, next);
      return next;
    },
    async putAll(records) {
      for (const record of records) await store.put(record);
    },
    list: async ({ kind }) => ({
      records: [...held.values()].filter((each) => each.kind === kind),
      hasMore: false,
    }),
  };
  return { inner: store as RecordStore, raw: () => JSON.stringify([...held.values()]) };
}

function world(...secrets: readonly string[]) {
  const { inner, raw } = memoryStore();
  let now: SealingSecrets = { current: secrets[0] ?? "sk-1", previous: secrets.slice(1) };
  const sealer = createSealer(() => Promise.resolve(now));
  const store = createSealedRecords(inner, sealer, new Set(["server"]));
  function use(next: SealingSecrets): void {
    now = next;
  }
  return { inner, raw, store, use };
}

const record = (id: string) => ({ kind: "server", id, value: { token: "the-token" } });

describe("values of a kind that is sealed", () => {
  test("rest unreadable and come back through every method", async () => {
    const { store, raw } = world();
    const put = await store.put(record("a"));
    await store.putAll([record("b")]);
    const changed = await store.update("server", "a", ({ value }) => ({
      value: { ...value, n: 1 },
    }));
    expect([put.value, changed?.value]).toEqual([
      { token: "the-token" },
      { token: "the-token", n: 1 },
    ]);
    const { records } = await store.list({ kind: "server", limit: 10 });
    expect(records.map(({ value }) => value)).toEqual([
      { token: "the-token", n: 1 },
      { token: "the-token" },
    ]);
    expect(raw()).not.toContain("the-token");
  });

  test("others are left alone", async () => {
    const { store, raw } = world();
    await store.put({ kind: "file", id: "f", value: { name: "plain.txt" } });
    expect(raw()).toContain("plain.txt");
  });

  test("one copied to another id does not open there", async () => {
    const { store, inner } = world();
    await store.put(record("a"));
    const sealed = await inner.get("server", "a");
    await inner.put({ kind: "server", id: "b", value: sealed?.value ?? {} });
    expect(store.get("server", "b")).rejects.toThrow(/changed since/);
  });
});

describe("what is old", () => {
  test("plain text is read, then sealed, once", async () => {
    const { store, inner, raw } = world();
    await inner.put(record("a"));
    expect((await store.get("server", "a"))?.value).toEqual({ token: "the-token" });
    expect(await store.sealOld()).toBe(1);
    expect(raw()).not.toContain("the-token");
    expect((await store.get("server", "a"))?.value).toEqual({ token: "the-token" });
    expect(await store.sealOld()).toBe(0);
  });

  test("a former key's is sealed anew; after that the former key may go", async () => {
    const { store, use } = world("sk-1");
    await store.put(record("a"));
    use({ current: "sk-2", previous: ["sk-1"] });
    expect(await store.sealOld()).toBe(1);
    use({ current: "sk-2", previous: [] });
    expect((await store.get("server", "a"))?.value).toEqual({ token: "the-token" });
  });

  test("an unknown key's stays as it is, for the day the key is back", async () => {
    const { store, use, raw } = world("sk-1");
    await store.put(record("a"));
    const before = raw();
    use({ current: "sk-2", previous: [] });
    expect(await store.sealOld()).toBe(0);
    expect(raw()).toBe(before);
    expect(store.get("server", "a")).rejects.toThrow(/another key/);
  });
});
