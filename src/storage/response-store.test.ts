/** What every store of responses does, and what the one on SQLite does beside it. */
import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import type { Remote } from "../std/rpc.ts";
import { createMemoryResponseStore, memoryLimits } from "./memory/response-store.ts";
import {
  defaultResponseLimits,
  type ResponseLimits,
  type ResponseStore,
  type StoredResponse,
} from "./response-store.ts";
import { createSqliteResponseStore } from "./sqlite/response-store.ts";
import { openResponseTable } from "./sqlite/response-table.ts";
import type { ResponseService } from "./sqlite/response-thread.ts";

const dayMs = 86_400_000;
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-responses-"));
  folders.push(folder);
  return folder;
}

interface World {
  readonly store: ResponseStore;
  readonly clock: ReturnType<typeof createVirtualClock>;
  readonly dataDir: string;
  readonly said: string[];
}

/** The store with its thread's half in this thread. */
function sqlite(limits: Partial<ResponseLimits> = {}, dataDir = newFolder()): World {
  const clock = createVirtualClock();
  const said: string[] = [];
  let table: ReturnType<typeof openResponseTable> | undefined;
  const all = { ...defaultResponseLimits, ...limits };
  const log = (_level: string, message: string) => void said.push(message);
  const opened = () => {
    table ??= openResponseTable({ dataDir, limits: all, clock, log });
    return table;
  };
  const service: ResponseService = {
    open: () => undefined,
    put: (row) => opened().put(row),
    update: (row) => opened().update(row),
    find: (id) => opened().find(id),
    chain: ({ id, limit }) => opened().chain(id, limit),
    remove: (id) => opened().remove(id),
    renew: (lease) => opened().renew(lease),
    leaseOf: (id) => opened().leaseOf(id),
    stop: (id) => opened().stop(id),
    close: () => {
      table?.close();
      table = undefined;
    },
  };
  const remote = {
    call: async (method: keyof ResponseService, params: never) => service[method](params),
  } as unknown as Remote<ResponseService>;
  const onHealth = (problem: string | undefined) => void said.push(problem ?? "well");
  const store = createSqliteResponseStore({ remote, dataDir, limits: all, clock, onHealth });
  return { store, clock, dataDir, said };
}

function memory(limits: Partial<ResponseLimits> = {}): World {
  const clock = createVirtualClock();
  const store = createMemoryResponseStore({ ...defaultResponseLimits, ...limits }, clock);
  return { store, clock, dataDir: "", said: [] };
}

function stored(id: string, previous?: string, more: Partial<StoredResponse> = {}): StoredResponse {
  return {
    id,
    caller: "key-1",
    createdMs: 1,
    requestedModel: "auto",
    deployment: "d",
    candidate: "m",
    kept: { response: { id, output: [] }, input: [{ type: "message", id: `${id}-in` }] },
    ...(previous === undefined ? {} : { previous }),
    ...more,
  };
}

const ids = (all: readonly StoredResponse[]) => all.map(({ id }) => id);

describe.each([
  ["sqlite", sqlite],
  ["memory", memory],
] as const)("%s", (_name, create) => {
  test("keeps, replaces, forgets", async () => {
    const { store } = create();
    const first = stored("a");
    await store.put(first);
    expect(await store.find("a")).toEqual(first);
    const changed = { ...first, requestedModel: "other" };
    await store.update(changed);
    expect(await store.find("a")).toEqual(changed);
    expect([await store.remove("a"), await store.remove("a")]).toEqual([true, false]);
    await store.update(changed);
    expect(await store.find("a")).toBeUndefined();
    await store.close();
  });

  test("a conversation, oldest first, up to a limit or a gap", async () => {
    const { store } = create();
    for (const [id, previous] of [["a"], ["b", "a"], ["c", "b"], ["d", "c"]] as const) {
      await store.put(stored(id, previous));
    }
    expect(ids(await store.chain("d", 10))).toEqual(["a", "b", "c", "d"]);
    expect(ids(await store.chain("d", 2))).toEqual(["c", "d"]);
    await store.remove("b");
    expect(ids(await store.chain("d", 10))).toEqual(["c", "d"]);
    expect(await store.chain("none", 10)).toEqual([]);
    await store.close();
  });

  test("a response expires", async () => {
    const { store, clock } = create({ maxAgeDays: 2 });
    await store.put(stored("a"));
    await clock.advance(2 * dayMs + 1);
    expect(await store.find("a")).toBeUndefined();
    await store.close();
  });

  test("a job's lease, and its end on demand", async () => {
    const { store } = create();
    await store.put(stored("a"));
    expect(await store.leaseOf("a")).toBeUndefined();
    expect(await store.renew({ id: "a", untilMs: 70 })).toBe("go on");
    expect(await store.leaseOf("a")).toBe(70);
    await store.stop("a");
    expect(await store.renew({ id: "a", untilMs: 80 })).toBe("stop");
    expect(await store.renew({ id: "deleted", untilMs: 80 })).toBe("stop");
    await store.close();
  });
});

test("memory is bounded", async () => {
  const { store } = memory();
  for (let i = 0; i < memoryLimits.maxRows + 5; i++) await store.put(stored(`r${i}`));
  expect(await store.find("r4")).toBeUndefined();
  expect(await store.find("r5")).toBeDefined();
});

describe("on SQLite", () => {
  test("what a conversation goes on from is kept as long as it", async () => {
    const { store, clock } = sqlite({ maxAgeDays: 2 });
    await store.put(stored("a"));
    await clock.advance(1.5 * dayMs);
    await store.put(stored("b", "a"));
    await clock.advance(dayMs);
    expect(ids(await store.chain("b", 10))).toEqual(["a", "b"]);
    await store.close();
  });

  test.each([
    ["rows", { maxRows: 10 }],
    ["bytes", { maxBytes: 3_000 }],
  ])("the oldest go when there are too many %s", async (_what, limits) => {
    const { store, clock } = sqlite(limits);
    for (let i = 0; i < 40; i++) {
      await store.put(stored(`r${i}`));
      await clock.advance(61_000); // it looks once a minute
    }
    expect(await store.find("r39")).toBeDefined();
    expect(await store.find("r20")).toBeUndefined();
    await store.close();
  });

  test("it survives its process, and is nobody else's to read", async () => {
    const { store, dataDir } = sqlite();
    await store.put(stored("a"));
    await store.close();
    const again = sqlite({}, dataDir);
    expect(await again.store.find("a")).toEqual(stored("a"));
    expect(statSync(join(dataDir, "responses.db")).mode & 0o077).toBe(0);
    await again.store.close();
  });

  test("a damaged file is put aside", async () => {
    const dataDir = newFolder();
    writeFileSync(
      join(dataDir, "responses.db"),
      "this is no database, whatever its name".repeat(200),
    );
    const { store, said } = sqlite({}, dataDir);
    await store.put(stored("a"));
    expect(await store.find("a")).toBeDefined();
    expect(said.join()).toContain("is damaged");
    expect(readdirSync(dataDir).some((name) => name.includes("damaged"))).toBe(true);
    await store.close();
  });

  test("what cannot be written rests in memory, and is said", async () => {
    const dataDir = join(newFolder(), "file");
    writeFileSync(dataDir, "a file where the folder should be");
    chmodSync(dataDir, 0o400);
    const { store, said } = sqlite({}, dataDir);
    await store.put(stored("a"));
    await store.put(stored("b", "a"));
    expect(ids(await store.chain("b", 10))).toEqual(["a", "b"]);
    expect(await store.remove("a")).toBe(true);
    expect(said.length).toBe(1);
    expect(store.problem).toBe(said[0] ?? "");
    await expect(store.find("elsewhere")).rejects.toMatchObject({ code: "storage_failed" });
  });
});
