/** The lease of a task at work: renewed while its process lives, ended by whoever looks once it does not. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import type { Caller } from "../../domain/call.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { Agent, Execute } from "./agent.ts";
import { leaseMs, Run } from "./run.ts";
import { createTasks } from "./tasks.ts";
import type { SendRequest, Task, TaskEvent } from "./wire.ts";

/** As much of a store as tasks ask for. */
function memoryStore() {
  const held = new Map<string, StoredRecord>();
  const faults = { updates: 0 };
  const store: Pick<RecordStore, "get" | "put" | "update" | "count"> = {
    get: async (_, id) => held.get(id),
    async put(record: { kind: string; id: string; value: StoredRecord["value"] }) {
      const facts = { owner: "", parent: "", tag: "", createdMs: 0, updatedMs: 0, version: 1 };
      const made = { ...facts, ...record };
      held.set(record.id, made);
      return made;
    },
    async update(_, id, change) {
      if (faults.updates > 0) {
        faults.updates--;
        throw new Error("the disk is full");
      }
      const before = held.get(id);
      if (!before) return undefined;
      const next = { ...before, ...change(before), version: before.version + 1 };
      held.set(id, next);
      return next;
    },
    count: async () => held.size,
  };
  return { records: store as RecordStore, held, faults };
}

const caller: Caller = { id: "ann", tenant: "default", admin: false };
const agent: Agent = {
  ...{
    id: "writer",
    name: "writer",
    description: "",
    card: {},
    origin: "config",
    createdMs: 0,
    version: 1,
  },
  serves: { kind: "model", model: "m", instructions: "", params: {} },
};
const request: SendRequest = {
  ...{ message: {}, taskId: undefined, contextId: undefined, acceptedOutputModes: [] },
  ...{ historyLength: undefined, returnImmediately: true, push: undefined, metadata: undefined },
};

/** An agent that works until it is told to end, or stopped; and another process that looks on. */
async function world({ runMs = 3_600_000 } = {}) {
  const clock = createVirtualClock();
  const { records, held, faults } = memoryStore();
  const limits = () => ({ ttlMs: 3_600_000, maxTasks: 10, maxTasksOfCaller: 10 });
  const tasks = createTasks(records, clock, limits);
  const others = createTasks(records, clock, limits);
  const finish = Promise.withResolvers<void>();
  const failures: unknown[] = [];
  const at = () => new Date(clock.now()).toISOString();
  const ids = { taskId: "t", contextId: "c" };
  const told = (state: "TASK_STATE_WORKING" | "TASK_STATE_COMPLETED"): TaskEvent => ({
    statusUpdate: { ...ids, status: { state, timestamp: at() } },
  });
  const execute: Execute = async function* ({ signal }) {
    yield told("TASK_STATE_WORKING");
    const stopped = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => stopped.reject(signal.reason));
    await Promise.race([finish.promise, stopped.promise]);
    yield told("TASK_STATE_COMPLETED");
  };
  const task: Task = {
    ...{ id: "t", contextId: "c", artifacts: [], history: [] },
    status: { state: "TASK_STATE_SUBMITTED", timestamp: at() },
  };
  const before = { agent: agent.id, owner: caller.id, moves: [], upstream: undefined };
  const run = new Run(
    { agent, caller, request, isNew: true, extensions: undefined, stream: false },
    { ...before, task, deadlineMs: clock.now() + runMs, updatedMs: clock.now() },
    execute,
    {
      ...{ tasks, clock, runMs, tell: () => undefined, mayFollow: () => true },
      onFailure: (error) => void failures.push(error),
    },
  );
  await run.begun;
  await clock.advance(0); // it is at work
  const look = async () => (await others.get("t", agent.id, caller)).task.status;
  /** What its record says: by when it is to be renewed, in ms from now. */
  const leftMs = () => Number(held.get("t")?.value["deadlineMs"]) - clock.now();
  return { clock, run, held, faults, failures, finish, look, leftMs };
}

describe("a task's lease", () => {
  test("is renewed while the agent is silent, however long that is", async () => {
    const { clock, look, leftMs, finish, run } = await world();
    for (let passed = 0; passed < 20 * leaseMs; passed += leaseMs / 3) {
      await clock.advance(leaseMs / 3);
      expect(leftMs()).toBe(leaseMs);
      expect((await look()).state).toBe("TASK_STATE_WORKING");
    }
    finish.resolve();
    await run.done;
    expect((await look()).state).toBe("TASK_STATE_COMPLETED");
    expect(clock.pending).toBe(0);
  });

  test("that is not renewed ends: whoever looks is told, and the work, should it still go on, stops", async () => {
    const { clock, run, look, faults } = await world();
    faults.updates = Number.POSITIVE_INFINITY; // nothing that it says arrives
    await clock.advance(leaseMs - 1);
    expect((await look()).state).toBe("TASK_STATE_WORKING");
    await clock.advance(1);
    faults.updates = 0;
    const status = await look();
    expect(status.state).toBe("TASK_STATE_FAILED");
    expect(JSON.stringify(status.message)).toContain("has ended without finishing");
    await clock.advance(leaseMs / 3); // it comes back, and finds that it is over
    await run.done;
    expect(await look()).toEqual(status); // what was told stays
    expect(clock.pending).toBe(0);
  });

  test("that others ended stops the work", async () => {
    const { clock, run, held, finish, look } = await world();
    const record = held.get("t");
    if (!record) throw new Error("the task has no record");
    const task = record.value["task"] as object;
    const status = { state: "TASK_STATE_CANCELED", timestamp: new Date(0).toISOString() };
    held.set("t", { ...record, value: { ...record.value, task: { ...task, status } } });
    await clock.advance(leaseMs / 3); // at the next renewal
    await run.done;
    finish.resolve();
    expect((await look()).state).toBe("TASK_STATE_CANCELED");
    expect(clock.pending).toBe(0);
  });

  test("goes no further than the time that a message may take", async () => {
    const { clock, run, look, leftMs } = await world({ runMs: leaseMs + 5_000 });
    await clock.advance(leaseMs / 3);
    expect(leftMs()).toBe((leaseMs * 2) / 3 + 5_000);
    await clock.advance(leaseMs);
    await run.done;
    const { state, message } = await look();
    expect([state, JSON.stringify(message)]).toEqual([
      "TASK_STATE_FAILED",
      expect.stringContaining("took longer than"),
    ]);
    expect(clock.pending).toBe(0);
  });

  test("a store that fails once costs one renewal, and is told of", async () => {
    const { clock, look, leftMs, faults, failures, finish, run } = await world();
    faults.updates = 1;
    await clock.advance(leaseMs / 3);
    expect(String(failures[0])).toContain("the disk is full");
    expect(leftMs()).toBe((leaseMs * 2) / 3);
    await clock.advance(leaseMs / 3);
    expect(leftMs()).toBe(leaseMs);
    await clock.advance(leaseMs);
    expect((await look()).state).toBe("TASK_STATE_WORKING");
    finish.resolve();
    await run.done;
    expect(failures.length).toBe(1);
  });
});
