/**
 * What the conformance suite's 2026-07-28 scenarios ask of a server's tools: questions to the client
 * (`input_required`), log lines, changes of lists, and the tasks of `io.modelcontextprotocol/tasks`.
 */
import { createHmac } from "node:crypto";
import type { JsonObject } from "../../src/domain/json.ts";

export const tasksExtension = "io.modelcontextprotocol/tasks";

/** A failure of the protocol's: its HTTP status says so as well. */
export class ModernError extends Error {
  readonly code: number;
  readonly status: number;
  readonly data: JsonObject | undefined;

  constructor(code: number, message: string, more: { status?: number; data?: JsonObject } = {}) {
    super(message);
    this.code = code;
    this.status = more.status ?? 400;
    this.data = more.data;
  }
}

export interface ModernCall {
  readonly name: string;
  readonly args: JsonObject;
  readonly params: JsonObject;
  /** What the client declared with this request. */
  readonly capabilities: JsonObject;
  readonly logLevel: string | undefined;
  tell(method: string, params: JsonObject): void;
}

export interface ModernWorld {
  readonly tasks: Map<string, Task>;
  /** Tells whoever listens. */
  changed(method: string, params?: JsonObject): void;
}

interface Task {
  readonly taskId: string;
  readonly createdAt: string;
  readonly done: () => JsonObject;
  /** Keys not answered yet → the request. */
  readonly asked: Map<string, JsonObject>;
  readonly answers: Map<string, JsonObject>;
  readonly untilMs: number;
  status: string;
}

const text = (value: string) => ({ content: [{ type: "text", text: value }] });
const object = (properties: object, required: readonly string[] = []) => ({
  type: "object",
  properties,
  required,
});
const elicit = (message: string, field: string, type = "string") => ({
  method: "elicitation/create",
  params: { mode: "form", message, requestedSchema: object({ [field]: { type } }, [field]) },
});
const sample = (question: string) => ({
  method: "sampling/createMessage",
  params: {
    messages: [{ role: "user", content: { type: "text", text: question } }],
    maxTokens: 100,
  },
});
const roots = { method: "roots/list", params: {} };
const input = (inputRequests: object, requestState?: string): JsonObject =>
  ({
    resultType: "input_required",
    inputRequests,
    ...(requestState === undefined ? {} : { requestState }),
  }) as unknown as JsonObject;

const sign = (value: string) =>
  `${value}.${createHmac("sha256", "of the fixture").update(value).digest("hex")}`;
/** @throws ModernError, where it is not as it was given out */
function readState(state: unknown): string | undefined {
  if (state === undefined) return undefined;
  const value = String(state).split(".")[0] ?? "";
  if (String(state) !== sign(value)) throw new ModernError(-32602, "requestState was changed");
  return value;
}

const isResponse = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @throws ModernError, where they are none */
export function responsesIn({ inputResponses }: JsonObject): JsonObject | undefined {
  if (inputResponses === undefined) return undefined;
  if (!isResponse(inputResponses)) throw new ModernError(-32602, "inputResponses is no map");
  return inputResponses;
}

/** Asks until every key is answered by an object. */
function asking(
  { params }: ModernCall | { readonly params: JsonObject },
  requests: Readonly<Record<string, object>>,
  state: string | undefined,
  done: (given: JsonObject) => JsonObject,
): JsonObject {
  const given = responsesIn(params) ?? {};
  readState(params["requestState"]);
  const missing = Object.keys(requests).filter((key) => !isResponse(given[key]));
  return missing.length > 0 ? input(requests, state && sign(state)) : done(given);
}

/** @throws ModernError -32021 */
function needs({ capabilities }: ModernCall, required: JsonObject): void {
  const lacks = Object.entries(required).some(([key, value]) => {
    const has = capabilities[key];
    if (key !== "extensions") return has === undefined;
    return !isResponse(has) || Object.keys(value as object).some((name) => has[name] === undefined);
  });
  if (!lacks) return;
  const data = { requiredCapabilities: required };
  throw new ModernError(-32021, "Missing required client capability", { data });
}

const name = { user_name: elicit("What is your name?", "name") };
type Tool = (call: ModernCall, world: ModernWorld) => JsonObject;

/** In the order of the suite's list. */
export const modernTools: Readonly<Record<string, Tool>> = {
  test_missing_capability: (call) => {
    needs(call, { sampling: {} });
    return text("sampling is there");
  },
  test_streaming_elicitation: (call) => {
    call.tell("notifications/progress", { progressToken: "none", progress: 1 });
    return asking(call, name, undefined, () => text("done"));
  },
  test_logging_tool(call) {
    if (call.logLevel !== undefined)
      call.tell("notifications/message", { level: "info", logger: "fixture", data: "logged" });
    return text("logged");
  },
  test_trigger_tool_change(_, world) {
    world.changed("notifications/tools/list_changed");
    return text("changed");
  },
  test_trigger_prompt_change(_, world) {
    world.changed("notifications/prompts/list_changed");
    return text("changed");
  },
  test_trigger_resource_change(_, world) {
    world.changed("notifications/resources/updated", { uri: "test://watched-resource" });
    return text("changed");
  },
  test_input_required_result_elicitation: (call) =>
    asking(call, name, undefined, (given) => text(`Hello, ${JSON.stringify(given["user_name"])}!`)),
  test_input_required_result_sampling: (call) =>
    asking(
      call,
      { capital_question: sample("What is the capital of France?") },
      undefined,
      (given) => text(JSON.stringify(given["capital_question"])),
    ),
  test_input_required_result_list_roots: (call) =>
    asking(call, { client_roots: roots }, undefined, (given) =>
      text(JSON.stringify(given["client_roots"])),
    ),
  test_input_required_result_request_state: (call) =>
    asking(call, { confirm: elicit("Please confirm", "ok", "boolean") }, "confirming", () =>
      text("state-ok"),
    ),
  test_input_required_result_multiple_inputs: (call) => {
    const requests = { ...name, greeting: sample("Generate a greeting"), client_roots: roots };
    return asking(call, requests, "three", (given) => text(Object.keys(given).join()));
  },
  test_input_required_result_multi_round(call) {
    const round = readState(call.params["requestState"]);
    if (round === "two") {
      const color = { step2: elicit("Step 2: What is your favorite color?", "color") };
      return asking(call, color, "two", (given) => text(JSON.stringify(given)));
    }
    return asking(call, { step1: elicit("Step 1: What is your name?", "name") }, "one", () =>
      input({ step2: elicit("Step 2: What is your favorite color?", "color") }, sign("two")),
    );
  },
  test_input_required_result_tampered_state: (call) =>
    asking(call, { confirm: elicit("Please confirm", "ok", "boolean") }, "guarded", () =>
      text("untouched"),
    ),
  test_input_required_result_capabilities(call) {
    const { sampling, elicitation } = call.capabilities;
    const requests = {
      ...(sampling === undefined ? {} : { question: sample("What do you see?") }),
      ...(elicitation === undefined ? {} : name),
    };
    return asking(call, requests, undefined, () => text("asked for what is there"));
  },
  greet: ({ args }) => text(`Hello, ${String(args["name"])}!`),
  slow_compute(call, world) {
    const seconds = Number(call.args["seconds"] ?? 0);
    if (!hasTasks(call) || seconds === 0) return text(`computed ${String(call.args["label"])}`);
    return begin(call, world, { seconds, done: () => text("computed") });
  },
  failing_job(call, world) {
    needs(call, { extensions: { [tasksExtension]: {} } });
    return begin(call, world, {
      seconds: 0.2,
      done: () => ({ ...text("it failed"), isError: true }),
    });
  },
  protocol_error_job: (call, world) =>
    begin(call, world, {
      seconds: 0.2,
      done: () => {
        throw new ModernError(-32603, "it broke");
      },
    }),
  confirm_delete: (call, world) =>
    begin(call, world, {
      asked: { confirm: elicit(`Delete ${String(call.args["filename"])}?`, "confirm", "boolean") },
      done: () => text("deleted"),
    }),
  multi_input: (call, world) =>
    begin(call, world, {
      asked: { first: elicit("First?", "name"), second: elicit("Second?", "name") },
      done: () => text("both"),
    }),
  test_tool_with_task(call, world) {
    needs(call, { extensions: { [tasksExtension]: {} } });
    return asking(call, name, "before the task", (given) =>
      begin(call, world, { seconds: 0.2, done: () => text(JSON.stringify(given["user_name"])) }),
    );
  },
};

const hasTasks = ({ capabilities: { extensions } }: ModernCall) =>
  isResponse(extensions) && extensions[tasksExtension] !== undefined;

interface Beginning {
  readonly seconds?: number;
  readonly asked?: Readonly<Record<string, object>>;
  readonly done: () => JsonObject;
}

/** For a client who knows no tasks it is as if nothing had to be waited for. */
function begin(call: ModernCall, world: ModernWorld, beginning: Beginning): JsonObject {
  const { seconds = 0, asked = {}, done } = beginning;
  if (!hasTasks(call)) return text("at once");
  const entries = Object.entries(asked) as [string, JsonObject][];
  const task: Task = {
    taskId: crypto.randomUUID(),
    createdAt: new Date().toISOString(),
    done,
    asked: new Map(entries),
    answers: new Map(),
    untilMs: Date.now() + seconds * 1000,
    status: entries.length > 0 ? "input_required" : "working",
  };
  world.tasks.set(task.taskId, task);
  return { resultType: "task", ...metadata(task) };
}

const metadata = ({ taskId, status, createdAt }: Task): JsonObject => ({
  taskId,
  status,
  createdAt,
  lastUpdatedAt: new Date().toISOString(),
  ttlMs: 60_000,
  pollIntervalMs: 100,
});

/** As `tasks/get` has it. */
function look(task: Task): JsonObject {
  if (task.status === "cancelled") return metadata(task);
  if (task.asked.size > 0)
    return { ...metadata(task), inputRequests: Object.fromEntries(task.asked) };
  task.status = "working";
  if (Date.now() < task.untilMs) return metadata(task);
  try {
    const result = task.done();
    task.status = "completed";
    return { ...metadata(task), result };
  } catch (thrown) {
    if (!(thrown instanceof ModernError)) throw thrown;
    task.status = "failed";
    return { ...metadata(task), error: { code: thrown.code, message: thrown.message } };
  }
}

/** @throws ModernError */
export function onTask(
  method: string,
  params: JsonObject,
  { tasks, changed }: ModernWorld,
): JsonObject {
  const task = tasks.get(String(params["taskId"]));
  if (!task) throw new ModernError(-32602, "There is no such task", { status: 200 });
  if (method === "tasks/get") return look(task);
  if (method === "tasks/cancel") {
    if (["working", "input_required"].includes(look(task)["status"] as string))
      task.status = "cancelled";
  } else {
    for (const [key, value] of Object.entries(responsesIn(params) ?? {}))
      if (task.asked.delete(key)) task.answers.set(key, value as JsonObject);
  }
  changed("notifications/tasks", look(task));
  return {};
}

/** Also for `prompts/get`. */
export const askedPrompt = (params: JsonObject) =>
  asking(
    { params },
    { user_context: elicit("What context should the prompt use?", "context") },
    undefined,
    (given) => ({
      messages: [
        { role: "user", content: { type: "text", text: JSON.stringify(given["user_context"]) } },
      ],
    }),
  );
