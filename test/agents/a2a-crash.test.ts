/**
 * A gateway that is killed (SIGKILL) in the middle of a task: the next one on its folder tells the
 * truth of it, lets who was cut off subscribe again, tells its addresses what they missed, and nothing
 * hangs. Of a model's task and of one elsewhere.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { all, events, says, stateOf, succeed, uniqueId } from "../support/a2a/check.ts";
import { type Reference, startReference } from "../support/a2a/reference.ts";
import { type Body, call, open, type Surface } from "../support/a2a/wire.ts";
import { type Hooks, startHooks, startTestModel, type TestModel } from "../support/a2a/world.ts";

const master = "sk-master-0123456789";
let reference: Reference;
let hooks: Hooks;
let model: TestModel;
const children: Bun.Subprocess[] = [];
const folders: string[] = [];

beforeAll(async () => {
  reference = await startReference();
  hooks = startHooks();
  model = startTestModel();
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
afterAll(async () => {
  await reference.close();
  hooks.close();
  model.close();
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-a2a-"));
  folders.push(folder);
  return folder;
}

async function start(folder: string) {
  const script = join(import.meta.dir, "..", "support", "a2a-child.ts");
  const child = Bun.spawn([process.execPath, script, folder, model.url, reference.url], {
    stdout: "pipe",
    stderr: "ignore",
    stdin: "ignore",
  });
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  const base = new TextDecoder().decode(value).trim();
  const agent = (name: string): Surface => {
    const url = `${base}/a2a/${name}`;
    const headers = { authorization: `Bearer ${master}` };
    return { version: "1.0", binding: "JSONRPC", url, cardUrl: url, headers };
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return { agent, kill };
}

const taskOf = (event: Body): string => event.task?.id ?? event.statusUpdate?.taskId;
const read = async (stream: AsyncIterable<Body>, until: (event: Body) => boolean) => {
  for await (const event of stream) if (until(event)) return event;
  throw new Error("the stream ended before");
};

test("a model's task has failed, its address hears so, and its stream is not there to hang on", async () => {
  const folder = newFolder();
  const path = uniqueId("hook");
  const before = await start(folder);
  const message = says("hold", { parts: [{ text: `hold ${uniqueId("ever")}` }] });
  const taskPushNotificationConfig = { id: "p", url: hooks.url(path) };
  const configuration = { taskPushNotificationConfig };
  const stream = await events(before.agent("writer"), "stream", { message, configuration });
  const piece = await read(stream, (event) => event.artifactUpdate !== undefined);
  const id = piece.artifactUpdate.taskId;
  await hooks.arrived(path, (told) =>
    told.some(({ body }) => stateOf(body) === "TASK_STATE_WORKING"),
  );
  await before.kill();

  const after = (await start(folder)).agent("writer");
  const { status } = await succeed(call(after, "get", { id }));
  expect(status.state).toBe("TASK_STATE_FAILED");
  expect(status.message.parts[0].text).toContain("ended without finishing");
  const told = await hooks.arrived(
    path,
    (each) => stateOf(each.at(-1)?.body) === "TASK_STATE_FAILED",
  );
  expect(stateOf(told.at(-1)?.body)).toBe("TASK_STATE_FAILED");
  expect(await open(after, "subscribe", { id })).toMatchObject({ error: { code: -32004 } });
  const list = await succeed(call(after, "list", {}));
  expect(list.tasks.map(({ status: { state } }: Body) => state)).toEqual(["TASK_STATE_FAILED"]);
}, 60_000);

test("a task elsewhere goes on: it can be got and subscribed to, and its end is told", async () => {
  const folder = newFolder();
  const path = uniqueId("hook");
  const before = await start(folder);
  const taskPushNotificationConfig = { id: "p", url: hooks.url(path) };
  const configuration = { taskPushNotificationConfig };
  const message = says("input-required");
  const stream = await events(before.agent("remote"), "stream", { message, configuration });
  const id = taskOf(await read(stream, (event) => stateOf(event) === "TASK_STATE_INPUT_REQUIRED"));
  await before.kill();

  const after = (await start(folder)).agent("remote");
  const got = await succeed(call(after, "get", { id }));
  expect(got.status.state).toBe("TASK_STATE_INPUT_REQUIRED");
  const told = all(await events(after, "subscribe", { id }));
  await succeed(call(after, "send", { message: says("complete-task", { taskId: id }) }));
  expect(stateOf((await told).at(-1))).toBe("TASK_STATE_COMPLETED");
  const notices = await hooks.arrived(
    path,
    (each) => stateOf(each.at(-1)?.body) === "TASK_STATE_COMPLETED",
  );
  expect(stateOf(notices.at(-1)?.body)).toBe("TASK_STATE_COMPLETED");
}, 60_000);

test("a task elsewhere that ended while no gateway was there is told all the same", async () => {
  const folder = newFolder();
  const path = uniqueId("hook");
  const before = await start(folder);
  const taskPushNotificationConfig = { id: "p", url: hooks.url(path) };
  const configuration = { returnImmediately: true, taskPushNotificationConfig };
  const message = says("delayed-complete");
  const { task } = await succeed(call(before.agent("remote"), "send", { message, configuration }));
  await before.kill();
  await Bun.sleep(600); // it takes the agent 400 ms

  const after = (await start(folder)).agent("remote");
  const isDone = ({ body }: Body) => stateOf(body) === "TASK_STATE_COMPLETED";
  const notices = await hooks.arrived(path, (each) => each.some(isDone));
  expect(notices.some(isDone)).toBe(true);
  const got = await succeed(call(after, "get", { id: task.id }));
  expect(got.status.state).toBe("TASK_STATE_COMPLETED");
}, 60_000);
