/** Streams and notifications: §3.1.2, §3.1.6, §3.5 and §4.3 of the specification. */
import {
  all,
  type Check,
  completed,
  events,
  expect,
  expectError,
  isOver,
  type Notice,
  Skipped,
  says,
  stateOf,
  succeed,
  uniqueId,
} from "./check.ts";
import { type Body, call, type Events, open, type Surface } from "./wire.ts";

const kindOf = (event: Body): string => Object.keys(event)[0] ?? "";

const streams: Check[] = [
  {
    ...{ id: "CORE-STREAM-001", level: "MUST" },
    async run(surface) {
      const stream = await events(surface, "stream", { message: says("stream-001") });
      const told = await all(stream);
      expect(told.length > 0, "no events");
      for (const event of told) {
        expect(
          ["task", "message", "statusUpdate", "artifactUpdate"].includes(kindOf(event)),
          kindOf(event),
        );
      }
    },
  },
  {
    ...{ id: "CORE-STREAM-002", level: "MUST" },
    async run(surface, { obeys }) {
      if (!obeys) throw new Skipped("the agent always answers with tasks");
      const told = await all(
        await events(surface, "stream", { message: says("message-response") }),
      );
      expect(told.length === 1 && told[0].message, JSON.stringify(told.map(kindOf)));
    },
  },
  {
    ...{ id: "CORE-STREAM-003", level: "MUST" },
    async run(surface) {
      const told = await all(await events(surface, "stream", { message: says("stream-003") }));
      expect(told[0]?.task, `begins with ${kindOf(told[0] ?? {})}`);
      expect(isOver(stateOf(told.at(-1))), `ends with ${stateOf(told.at(-1))}`);
    },
  },
  {
    ...{ id: "STREAM-ORDER-001", level: "MUST" },
    async run(surface) {
      const told = await all(
        await events(surface, "stream", { message: says("stream-artifact-chunked") }),
      );
      const kinds = told.map(kindOf);
      const first = kinds.indexOf("artifactUpdate");
      expect(first > 0 && kinds.lastIndexOf("artifactUpdate") < kinds.length - 1, kinds.join());
      const pieces = told.flatMap(({ artifactUpdate }) => (artifactUpdate ? [artifactUpdate] : []));
      const ids = new Set(pieces.map(({ artifact }) => artifact.artifactId));
      expect(ids.size === 1, "pieces of several artifacts");
      expect(
        !pieces[0].append && pieces.slice(1).every(({ append }) => append),
        "the first is added to nothing",
      );
      expect(pieces.at(-1).lastChunk, "the last does not say so");
      const text = pieces.map(({ artifact }) => artifact.parts[0]?.text ?? "").join("");
      const got = await succeed(call(surface, "get", { id: told[0].task.id }));
      const kept = got.artifacts[0].parts.map((part: Body) => part.text).join("");
      expect(kept === text && text !== "", `kept ${kept}, streamed ${text}`);
    },
  },
  {
    ...{ id: "STREAM-waits", level: "SHOULD" },
    async run(surface, { obeys }) {
      if (!obeys) throw new Skipped("a model asks for no input");
      const stream = await events(surface, "stream", { message: says("input-required") });
      let last: Body;
      for await (const event of stream) {
        last = event;
        if (stateOf(event) === "TASK_STATE_INPUT_REQUIRED") break;
      }
      await stream.close();
      expect(stateOf(last) === "TASK_STATE_INPUT_REQUIRED", JSON.stringify(last));
    },
  },
  {
    ...{ id: "STREAM-left", level: "SHOULD" },
    async run(surface, { slow }) {
      const stream = await events(surface, "stream", { message: slow() });
      let id = "";
      for await (const event of stream) {
        id = event.task?.id ?? event.statusUpdate?.taskId ?? "";
        break;
      }
      await stream.close();
      for (;;) {
        const got = await succeed(call(surface, "get", { id }));
        if (isOver(got.status.state)) {
          expect(got.status.state === "TASK_STATE_COMPLETED", got.status.state);
          return;
        }
        await Bun.sleep(25);
      }
    },
  },
];

async function subscribed(surface: Surface, id: string): Promise<Events> {
  return events(surface, "subscribe", { id });
}

const firstOf = async (stream: AsyncIterator<Body>): Promise<Body> => (await stream.next()).value;

const subscriptions: Check[] = [
  {
    ...{ id: "STREAM-SUB-001", level: "MUST", version: "1.0" },
    async run(surface, { begin }) {
      const { taskId, finish } = await begin(surface);
      const stream = await subscribed(surface, taskId);
      const first = await firstOf(stream[Symbol.asyncIterator]());
      await stream.close();
      await finish();
      expect(first?.task?.id === taskId, `begins with ${kindOf(first ?? {})}`);
    },
  },
  {
    ...{ id: "STREAM-SUB-002", level: "MUST" },
    async run(surface, { begin }) {
      const { taskId, finish } = await begin(surface);
      const stream = await subscribed(surface, taskId);
      const told = all(stream);
      await Bun.sleep(50);
      await finish();
      const last = (await told).at(-1);
      expect(isOver(stateOf(last)), `ends with ${JSON.stringify(last)}`);
    },
  },
  {
    ...{ id: "STREAM-SUB-003", level: "MUST" },
    async run(surface) {
      const { id } = await completed(surface);
      const answer = await open(surface, "subscribe", { id });
      expect(!("raw" in answer), "a stream of a task that is over");
      if (surface.version === "1.0") expectError(answer, "unsupportedOperation", surface);
    },
  },
  {
    ...{ id: "STREAM-SUB-004", level: "MUST" },
    async run(surface) {
      const answer = await open(surface, "subscribe", { id: uniqueId("nowhere") });
      expect(!("raw" in answer), "a stream of no task");
      expectError(answer, "taskNotFound", surface);
    },
  },
  {
    ...{ id: "STREAM-ORDER-002 and -003", level: "MUST" },
    async run(surface, { begin }) {
      const { taskId, finish } = await begin(surface);
      const streams = await Promise.all([1, 2].map(() => subscribed(surface, taskId)));
      const told = Promise.all(streams.map(all));
      await Bun.sleep(50);
      await finish();
      const [a = [], b = []] = await told;
      // 0.3 does not begin with the task.
      expect(a.length >= (surface.version === "1.0" ? 2 : 1), `${a.length} events`);
      expect(JSON.stringify(a) === JSON.stringify(b), "other events, or in another order");
    },
  },
  {
    ...{ id: "STREAM-ORDER-004", level: "MUST" },
    async run(surface, { begin }) {
      const { taskId, finish } = await begin(surface);
      const [leaves, stays] = await Promise.all([
        subscribed(surface, taskId),
        subscribed(surface, taskId),
      ]);
      const told = all(stays);
      if (surface.version === "1.0") await firstOf(leaves[Symbol.asyncIterator]());
      await leaves.close();
      await Bun.sleep(50);
      await finish();
      expect(isOver(stateOf((await told).at(-1))), "the other stream ended with it");
    },
  },
];

const example = (id = uniqueId("push")) => ({ id, url: "https://example.com/tck-push-webhook" });

const configurations: Check[] = [
  {
    ...{ id: "PUSH-CREATE-001", level: "MUST" },
    async run(surface) {
      const { id: taskId } = await completed(surface);
      const config = example();
      const made = await succeed(call(surface, "setPush", { taskId, ...config }));
      expect(made.url === config.url && made.taskId === taskId, JSON.stringify(made));
    },
  },
  {
    ...{ id: "PUSH-CREATE-002", level: "MUST" },
    async run(surface) {
      const { id: taskId } = await completed(surface);
      const config = example();
      await succeed(call(surface, "setPush", { taskId, ...config }));
      const got = await succeed(call(surface, "getPush", { taskId, id: config.id }));
      expect(got.id === config.id && got.url === config.url, JSON.stringify(got));
    },
  },
  {
    ...{ id: "PUSH-CREATE-nowhere", level: "MUST" },
    async run(surface) {
      const answer = await call(surface, "setPush", { taskId: uniqueId("nowhere"), ...example() });
      expectError(answer, "taskNotFound", surface);
    },
  },
  {
    ...{ id: "PUSH-GET-002", level: "MUST" },
    async run(surface) {
      const { id: taskId } = await completed(surface);
      expect(
        (await call(surface, "getPush", { taskId, id: uniqueId("none") })).error,
        "one that was never made",
      );
    },
  },
  {
    ...{ id: "PUSH-LIST-001", level: "MUST" },
    async run(surface) {
      const { id: taskId } = await completed(surface);
      const made = [example(), example()];
      for (const config of made) await succeed(call(surface, "setPush", { taskId, ...config }));
      const { configs } = await succeed(call(surface, "listPush", { taskId }));
      const ids = configs.map(({ id }: Body) => id).sort();
      expect(
        JSON.stringify(ids) === JSON.stringify(made.map(({ id }) => id).sort()),
        JSON.stringify(configs),
      );
    },
  },
  {
    ...{ id: "PUSH-DEL-001", level: "MUST" },
    async run(surface) {
      const { id: taskId } = await completed(surface);
      const { id, url } = example();
      await succeed(call(surface, "setPush", { taskId, id, url }));
      await succeed(call(surface, "deletePush", { taskId, id }));
      expect((await call(surface, "getPush", { taskId, id })).error, "it is still there");
    },
  },
  {
    ...{ id: "PUSH-DEL-002", level: "MUST" },
    async run(surface) {
      const { id: taskId } = await completed(surface);
      const { id, url } = example();
      await succeed(call(surface, "setPush", { taskId, id, url }));
      for (let i = 0; i < 2; i++) await succeed(call(surface, "deletePush", { taskId, id }));
    },
  },
];

const noticed = ({ version }: Surface, { body }: { readonly body: Body }): string | undefined =>
  version === "1.0" ? stateOf(body) : `TASK_STATE_${String(stateOf(body)).toUpperCase()}`;

const isOverIn = (surface: Surface) => (notices: readonly Notice[]) =>
  notices.some((each) => isOver(noticed(surface, each)));

const deliveries: Check[] = [
  {
    ...{ id: "PUSH-DELIVER-001", level: "MUST" },
    async run(surface, { hook }) {
      const path = uniqueId("hook");
      const authentication = { scheme: "Bearer", credentials: "tck-test-token" };
      const taskPushNotificationConfig = {
        id: uniqueId("push"),
        url: hook.url(path),
        authentication,
      };
      const configuration = { taskPushNotificationConfig };
      await succeed(call(surface, "send", { message: says("stream-001"), configuration }));
      const [notice] = await hook.arrived(path);
      expect(notice, "nothing arrived");
      expect(
        notice.headers["authorization"] === "Bearer tck-test-token",
        JSON.stringify(notice.headers),
      );
    },
  },
  {
    ...{ id: "PUSH-DELIVER-002 and -003", level: "MUST" },
    async run(surface, { hook }) {
      const path = uniqueId("hook");
      const configuration = {
        taskPushNotificationConfig: { id: uniqueId("push"), url: hook.url(path) },
      };
      await succeed(call(surface, "send", { message: says("complete-task"), configuration }));
      const notices = await hook.arrived(path, isOverIn(surface));
      const last = notices.at(-1);
      expect(last, "nothing arrived");
      expect(isOver(noticed(surface, last)), JSON.stringify(notices.map(({ body }) => body)));
      if (surface.version === "1.0") {
        expect(["task", "statusUpdate"].includes(kindOf(last.body)), kindOf(last.body));
      }
    },
  },
  {
    ...{ id: "PUSH-DELIVER-token", level: "SHOULD" },
    async run(surface, { hook }) {
      const path = uniqueId("hook");
      const push = { id: uniqueId("push"), url: hook.url(path), token: "a-token" };
      const configuration = { taskPushNotificationConfig: push };
      await succeed(call(surface, "send", { message: says("complete-task"), configuration }));
      const [notice] = await hook.arrived(path);
      expect(
        notice?.headers["x-a2a-notification-token"] === "a-token",
        JSON.stringify(notice?.headers),
      );
    },
  },
  {
    ...{ id: "PUSH-DELIVER-later", level: "MUST" },
    async run(surface, { begin, hook }) {
      const path = uniqueId("hook");
      const { taskId, finish } = await begin(surface);
      await succeed(
        call(surface, "setPush", { taskId, id: uniqueId("push"), url: hook.url(path) }),
      );
      await finish();
      const notices = await hook.arrived(path, isOverIn(surface));
      expect(
        notices.some((each) => isOver(noticed(surface, each))),
        JSON.stringify(notices),
      );
    },
  },
  {
    ...{ id: "PUSH-DELIVER-immediately", level: "MUST" },
    async run(surface, { slow, hook }) {
      const path = uniqueId("hook");
      const taskPushNotificationConfig = { id: uniqueId("push"), url: hook.url(path) };
      const configuration = { returnImmediately: true, taskPushNotificationConfig };
      const { task } = await succeed(call(surface, "send", { message: slow(), configuration }));
      expect(!isOver(task.status.state), "answered only when the task was over");
      const notices = await hook.arrived(path, isOverIn(surface));
      expect(
        notices.some((each) => isOver(noticed(surface, each))),
        JSON.stringify(notices),
      );
    },
  },
];

export const streamChecks: readonly Check[] = [
  ...streams,
  ...subscriptions,
  ...configurations,
  ...deliveries,
];
