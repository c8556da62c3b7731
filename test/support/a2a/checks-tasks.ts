/** Messages, tasks, conversations, history, lists: §3.1, §3.2 and §3.4 of the specification. */
import {
  all,
  type Check,
  completed,
  events,
  expect,
  expectError,
  isOver,
  Skipped,
  says,
  stateOf,
  succeed,
  uniqueId,
} from "./check.ts";
import { type Body, call, type Surface } from "./wire.ts";

const send: Check[] = [
  {
    ...{ id: "CORE-SEND-001", level: "MUST" },
    async run(surface) {
      const result = await succeed(call(surface, "send", { message: says("complete-task") }));
      expect(result.task || result.message, "neither a task nor a message");
    },
  },
  {
    ...{ id: "CORE-SEND-002", level: "MUST" },
    async run(surface) {
      const { id } = await completed(surface);
      const answer = await call(surface, "send", { message: says("terminal", { taskId: id }) });
      expect(answer.error, "a task that is over took a message");
      if (surface.version === "1.0") expectError(answer, "unsupportedOperation", surface);
    },
  },
  {
    ...{ id: "CORE-SEND-003", level: "MUST", version: "1.0" },
    async run(surface) {
      const parts = [{ raw: "dGNr", mediaType: "application/x-unsupported-tck-type" }];
      const answer = await call(surface, "send", { message: says("send-003", { parts }) });
      expectError(answer, "contentTypeNotSupported", surface);
    },
  },
  {
    ...{ id: "CORE-SEND-message", level: "MAY" },
    async run(surface, { obeys }) {
      if (!obeys) throw new Skipped("the agent always answers with tasks");
      const { message } = await succeed(
        call(surface, "send", { message: says("message-response") }),
      );
      expect(message?.role === "ROLE_AGENT", `role ${message?.role}`);
      expect(message.parts[0]?.text === "Direct message response", JSON.stringify(message.parts));
    },
  },
  {
    ...{ id: "CORE-EXECUTION-MODE-001", level: "MUST" },
    async run(surface, { slow }) {
      const configuration = { returnImmediately: false };
      const { task } = await succeed(call(surface, "send", { message: slow(), configuration }));
      expect(isOver(task.status.state), `answered while ${task.status.state}`);
    },
  },
  {
    ...{ id: "CORE-EXECUTION-MODE-002", level: "MUST" },
    async run(surface, { slow }) {
      const configuration = { returnImmediately: true };
      const { task } = await succeed(call(surface, "send", { message: slow(), configuration }));
      expect(!isOver(task.status.state), "answered only when the task was over");
      for (;;) {
        const { status } = await succeed(call(surface, "get", { id: task.id }));
        if (isOver(status.state)) break;
        await Bun.sleep(25);
      }
    },
  },
];

/** Contents come back as they are, whatever they are. */
const contents = ([name, holds]: readonly [string, (part: Body) => boolean]): Check => ({
  ...{ id: `DM-PART-001 ${name}`, level: "MUST" },
  async run(surface, { obeys }) {
    if (!obeys) throw new Skipped("a model answers in text");
    const { artifacts } = await completed(surface, says(name));
    const part = artifacts?.[0]?.parts?.[0];
    expect(part && holds(part), JSON.stringify(artifacts));
  },
});
const artifacts = (
  [
    ["artifact-text", (part) => part.text === "Generated text content"],
    [
      "artifact-file",
      (part) =>
        part.raw === "dGNr" && part.filename === "output.txt" && part.mediaType === "text/plain",
    ],
    ["artifact-file-url", (part) => part.url === "https://example.com/output.txt"],
    ["artifact-data", (part) => part.data?.key === "value" && part.data?.count === 42],
  ] as const satisfies readonly (readonly [string, (part: Body) => boolean])[]
).map(contents);

const tasks: Check[] = [
  {
    ...{ id: "CORE-GET-001", level: "MUST" },
    async run(surface) {
      const task = await completed(surface);
      const got = await succeed(call(surface, "get", { id: task.id }));
      expect(got.id === task.id && got.contextId === task.contextId, "another task");
      expect(got.status.state === task.status.state, got.status.state);
    },
  },
  {
    ...{ id: "CORE-GET-002", level: "MUST" },
    run: async (surface) =>
      expectError(await call(surface, "get", { id: uniqueId("nowhere") }), "taskNotFound", surface),
  },
  {
    ...{ id: "CORE-CANCEL-001", level: "MUST" },
    async run(surface, { begin }) {
      const { taskId } = await begin(surface);
      const task = await succeed(call(surface, "cancel", { id: taskId }));
      expect(task.id === taskId, "another task");
      expect(task.status.state === "TASK_STATE_CANCELED", task.status.state);
    },
  },
  {
    ...{ id: "CORE-CANCEL-002", level: "MUST" },
    async run(surface) {
      const { id } = await completed(surface);
      expectError(await call(surface, "cancel", { id }), "taskNotCancelable", surface);
    },
  },
  {
    ...{ id: "CORE-CANCEL-003", level: "MUST" },
    run: async (surface) =>
      expectError(
        await call(surface, "cancel", { id: uniqueId("nowhere") }),
        "taskNotFound",
        surface,
      ),
  },
];

const turns: Check[] = [
  {
    ...{ id: "CORE-MULTI-001a", level: "MUST" },
    async run(surface) {
      const { contextId } = await completed(surface);
      expect(contextId, "no contextId");
    },
  },
  {
    ...{ id: "CORE-MULTI-002a", level: "MUST" },
    async run(surface) {
      const contextId = uniqueId("context");
      const task = await completed(surface, says("complete-task", { contextId }));
      expect(task.contextId === contextId, `another context: ${task.contextId}`);
    },
  },
  {
    ...{ id: "CORE-MULTI-003", level: "MUST" },
    async run(surface) {
      const [a, b] = [await completed(surface), await completed(surface)];
      expect(a.id && b.id && a.id !== b.id, "ids are not unique");
    },
  },
  {
    ...{ id: "CORE-MULTI-004", level: "MUST" },
    async run(surface) {
      const message = says("multi-004", { taskId: uniqueId("nowhere") });
      expectError(await call(surface, "send", { message }), "taskNotFound", surface);
    },
  },
  {
    ...{ id: "CORE-MULTI-005", level: "MUST" },
    async run(surface, { begin, obeys }) {
      if (!obeys) throw new Skipped("a model's task asks for no input");
      const { taskId, contextId } = await begin(surface);
      const { task } = await succeed(
        call(surface, "send", { message: says("complete-task", { taskId }) }),
      );
      expect(task.id === taskId && task.contextId === contextId, "another task or context");
      expect(task.status.state === "TASK_STATE_COMPLETED", task.status.state);
    },
  },
  {
    ...{ id: "CORE-MULTI-006", level: "MUST" },
    async run(surface) {
      const { id } = await completed(surface);
      const message = says("mismatch", { taskId: id, contextId: uniqueId("wrong-context") });
      expect((await call(surface, "send", { message })).error, "taken with another context");
    },
  },
  {
    ...{ id: "CORE-MULTI-working", level: "SHOULD" },
    async run(surface, { slow, obeys }) {
      if (!obeys) throw new Skipped("a model answers one question a task");
      const configuration = { returnImmediately: true };
      const { task } = await succeed(call(surface, "send", { message: slow(), configuration }));
      const message = says("complete-task", { taskId: task.id });
      const answer = await succeed(call(surface, "send", { message }));
      expect(answer.task.id === task.id, "another task");
    },
  },
];

const conversation = async (surface: Surface, obeys: boolean): Promise<Body> => {
  if (!obeys) return completed(surface);
  const first = await succeed(call(surface, "send", { message: says("input-required") }));
  return completed(surface, says("complete-task", { taskId: first.task.id }));
};

const history: Check[] = [
  {
    ...{ id: "CORE-HIST-001", level: "SHOULD" },
    async run(surface, { obeys }) {
      const { id } = await conversation(surface, obeys);
      const got = await succeed(call(surface, "get", { id, historyLength: 0 }));
      expect((got.history ?? []).length === 0, `${got.history?.length} messages`);
    },
  },
  {
    ...{ id: "CORE-HIST-001 omitted", level: "SHOULD", version: "1.0" },
    async run(surface, { obeys }) {
      const { id } = await conversation(surface, obeys);
      const got = await succeed(call(surface, "get", { id, historyLength: 0 }));
      expect(!("history" in got), "history is there, though empty");
    },
  },
  {
    ...{ id: "CORE-HIST-002", level: "MUST" },
    async run(surface, { obeys }) {
      const { id } = await conversation(surface, obeys);
      const got = await succeed(call(surface, "get", { id, historyLength: 1 }));
      expect((got.history ?? []).length <= 1, `${got.history?.length} messages`);
    },
  },
  {
    ...{ id: "CORE-HIST-003", level: "SHOULD" },
    async run(surface) {
      const configuration = { historyLength: 0 };
      const { task } = await succeed(
        call(surface, "send", { message: says("complete-task"), configuration }),
      );
      expect((task.history ?? []).length === 0, `${task.history?.length} messages`);
    },
  },
  {
    ...{ id: "CORE-HIST-004", level: "MAY" },
    async run(surface, { obeys }) {
      const { id } = await conversation(surface, obeys);
      const got = await succeed(call(surface, "get", { id, historyLength: 10 }));
      expect(got.history?.length > 0, "no history");
    },
  },
  {
    ...{ id: "CORE-HIST-006", level: "SHOULD" },
    async run(surface) {
      const message = says("complete-task", { parts: [{ text: "a very particular text" }] });
      const { id } = await completed(surface, message);
      const got = await succeed(call(surface, "get", { id, historyLength: 10 }));
      const kept = got.history?.find((each: Body) => each.messageId === message.messageId);
      expect(kept?.parts[0]?.text === "a very particular text", JSON.stringify(got.history));
    },
  },
  {
    ...{ id: "CORE-HIST-negative", level: "MUST" },
    async run(surface) {
      const { id } = await completed(surface);
      expectError(await call(surface, "get", { id, historyLength: -1 }), "invalidParams", surface);
    },
  },
];

async function listed(surface: Surface, params: Body): Promise<Body> {
  return succeed(call(surface, "list", params));
}

async function three(surface: Surface): Promise<string> {
  const contextId = uniqueId("list");
  for (let i = 0; i < 3; i++) await completed(surface, says("artifact-text", { contextId }));
  return contextId;
}

/** 0.3's specification has no list over HTTP+JSON. */
const lists: Check[] = (
  [
    {
      ...{ id: "CORE-LIST-001", level: "MUST" },
      async run(surface) {
        const contextId = await three(surface);
        const { tasks: told } = await listed(surface, { contextId });
        expect(told.length === 3, `${told.length} tasks`);
        expect(
          told.every((task: Body) => task.contextId === contextId),
          "of another context",
        );
      },
    },
    {
      ...{ id: "CORE-LIST-002", level: "MUST" },
      async run(surface) {
        const contextId = await three(surface);
        const first = await listed(surface, { contextId, pageSize: 2 });
        expect(
          first.tasks.length === 2 && first.nextPageToken !== "",
          JSON.stringify(first.nextPageToken),
        );
        expect(
          first.pageSize === 2 && first.totalSize === 3,
          `${first.pageSize} of ${first.totalSize}`,
        );
        const next = await listed(surface, {
          contextId,
          pageSize: 2,
          pageToken: first.nextPageToken,
        });
        const ids = new Set([...first.tasks, ...next.tasks].map(({ id }: Body) => id));
        expect(ids.size === 3, `${ids.size} tasks on two pages`);
      },
    },
    {
      ...{ id: "CORE-LIST-003", level: "MUST" },
      async run(surface) {
        const { tasks: told } = await listed(surface, { contextId: await three(surface) });
        const times = told.map((task: Body) => Date.parse(task.status.timestamp));
        expect(
          times.every((at: number, i: number) => i === 0 || at <= times[i - 1]),
          JSON.stringify(times),
        );
      },
    },
    {
      ...{ id: "CORE-LIST-004", level: "MUST" },
      async run(surface) {
        const { nextPageToken } = await listed(surface, {
          contextId: await three(surface),
          pageSize: 100,
        });
        expect(nextPageToken === "", `nextPageToken ${JSON.stringify(nextPageToken)}`);
      },
    },
    {
      ...{ id: "CORE-LIST-005", level: "MUST" },
      async run(surface) {
        const contextId = await three(surface);
        const { tasks: told } = await listed(surface, { contextId });
        expect(
          told.every((task: Body) => !("artifacts" in task)),
          "artifacts are there",
        );
        const whole = await listed(surface, { contextId, includeArtifacts: true });
        expect(
          whole.tasks.every((task: Body) => task.artifacts?.length > 0),
          "artifacts are missing",
        );
      },
    },
    {
      ...{ id: "CORE-LIST-status", level: "MUST" },
      async run(surface) {
        const contextId = await three(surface);
        const none = await listed(surface, { contextId, status: "TASK_STATE_WORKING" });
        expect(none.tasks.length === 0, "a task of another state");
        const done = await listed(surface, { contextId, status: "TASK_STATE_COMPLETED" });
        expect(done.tasks.length === 3, `${done.tasks.length} tasks`);
      },
    },
    {
      ...{ id: "CORE-LIST-after", level: "MUST" },
      async run(surface) {
        const contextId = await three(surface);
        const later = new Date(Date.now() + 60_000).toISOString();
        const none = await listed(surface, { contextId, statusTimestampAfter: later });
        expect(none.tasks.length === 0, "a task that was before");
      },
    },
    {
      ...{ id: "CORE-LIST-size", level: "MUST" },
      async run(surface) {
        expectError(await call(surface, "list", { pageSize: 101 }), "invalidParams", surface);
        expectError(await call(surface, "list", { pageSize: -1 }), "invalidParams", surface);
      },
    },
    {
      ...{ id: "CORE-LIST-token", level: "SHOULD" },
      run: async (surface) =>
        expectError(
          await call(surface, "list", { pageToken: "no such" }),
          "invalidParams",
          surface,
        ),
    },
  ] as const satisfies Omit<Check, "version">[]
).map((check) => ({ ...check, version: "1.0" as const }));

const states: Check[] = [
  {
    ...{ id: "DM-TASK-002 rejected", level: "MUST" },
    async run(surface, { obeys }) {
      if (!obeys) throw new Skipped("a model refuses nothing here");
      const { task } = await succeed(call(surface, "send", { message: says("reject-task") }));
      expect(task.status.state === "TASK_STATE_REJECTED", task.status.state);
    },
  },
  {
    ...{ id: "DM-SERIAL-001", level: "MUST" },
    async run(surface) {
      const { body } = await call(surface, "send", { message: says("complete-task") });
      const keys: string[] = [];
      JSON.stringify(body, (key, value) => {
        keys.push(key);
        return value;
      });
      const wrong = keys.filter((key) => /^[a-z]+(_[a-z]+)+$/.test(key));
      expect(wrong.length === 0, `in snake case: ${wrong.join(", ")}`);
    },
  },
  {
    ...{ id: "DM-SERIAL-003", level: "MUST" },
    async run(surface) {
      const { status } = await completed(surface);
      expect(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(status.timestamp), status.timestamp);
    },
  },
  {
    ...{ id: "DM-SERIAL-005", level: "SHOULD" },
    async run(surface) {
      const message = says("complete-task", { tckUnknownField: "ignored" });
      await succeed(call(surface, "send", { message, tckExtraParam: 42 }));
    },
  },
  {
    ...{ id: "CORE-SEND-history", level: "MAY" },
    async run(surface) {
      const told = await all(await events(surface, "stream", { message: says("stream-003") }));
      const id = told.find(({ task }) => task)?.task.id;
      if (!id) throw new Skipped("no task");
      expect(
        isOver(stateOf(await succeed(call(surface, "get", { id })))),
        "not over after its stream",
      );
    },
  },
];

export const taskChecks: readonly Check[] = [
  ...send,
  ...artifacts,
  ...tasks,
  ...turns,
  ...history,
  ...lists,
  ...states,
];
