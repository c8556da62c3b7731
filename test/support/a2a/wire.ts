/**
 * A2A as it stands on the wire, in both revisions and both bindings, for checks that say everything
 * in the words of 1.0. Written apart from the gateway's own translation, which it is to check.
 */

// biome-ignore lint/suspicious/noExplicitAny: answers of the wire, whose shapes are what is checked
export type Body = any;
export type Version = "1.0" | "0.3";
export type Binding = "JSONRPC" | "HTTP+JSON";

export interface Surface {
  readonly version: Version;
  readonly binding: Binding;
  /** Of the endpoint, without a slash at its end. */
  readonly url: string;
  /** Of the card. */
  readonly cardUrl: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** As it came. */
  readonly body: Body;
  /** In the words of 1.0. */
  readonly result: Body;
  readonly error:
    | { readonly code: number; readonly reason: string; readonly message: string }
    | undefined;
}

export interface Events extends AsyncIterable<Body> {
  readonly headers: Headers;
  /** Each as it came, as far as they have been read. */
  readonly raw: Body[];
  close(): Promise<void>;
}

type Operation = readonly [newer: string, older: string, method: string, path: string];
const operations = {
  send: ["SendMessage", "message/send", "POST", "/message:send"],
  stream: ["SendStreamingMessage", "message/stream", "POST", "/message:stream"],
  get: ["GetTask", "tasks/get", "GET", "/tasks/{id}"],
  list: ["ListTasks", "tasks/list", "GET", "/tasks"],
  cancel: ["CancelTask", "tasks/cancel", "POST", "/tasks/{id}:cancel"],
  subscribe: ["SubscribeToTask", "tasks/resubscribe", "POST", "/tasks/{id}:subscribe"],
  setPush: [
    ...["CreateTaskPushNotificationConfig", "tasks/pushNotificationConfig/set", "POST"],
    "/tasks/{taskId}/pushNotificationConfigs",
  ] as unknown as Operation,
  getPush: [
    ...["GetTaskPushNotificationConfig", "tasks/pushNotificationConfig/get", "GET"],
    "/tasks/{taskId}/pushNotificationConfigs/{id}",
  ] as unknown as Operation,
  listPush: [
    ...["ListTaskPushNotificationConfigs", "tasks/pushNotificationConfig/list", "GET"],
    "/tasks/{taskId}/pushNotificationConfigs",
  ] as unknown as Operation,
  deletePush: [
    ...["DeleteTaskPushNotificationConfig", "tasks/pushNotificationConfig/delete", "DELETE"],
    "/tasks/{taskId}/pushNotificationConfigs/{id}",
  ] as unknown as Operation,
  extendedCard: [
    ...["GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard", "GET"],
    "/extendedAgentCard",
  ] as unknown as Operation,
} as const satisfies Record<string, Operation>;
export type OperationName = keyof typeof operations;

let asked = 0;

/** A request as the surface writes it. */
export function toRequest(surface: Surface, name: OperationName, params: Body): Request {
  const { version, binding, url, headers } = surface;
  const [newer, older, method, path] = operations[name];
  const all: Record<string, string> = {
    "content-type": "application/json",
    "a2a-version": version,
    ...headers,
  };
  if (name === "stream" || name === "subscribe") all["accept"] = "text/event-stream";
  if (binding === "JSONRPC") {
    const body = {
      ...{ jsonrpc: "2.0", id: ++asked, method: version === "1.0" ? newer : older },
      params: version === "1.0" ? params : olderParams(name, params),
    };
    return new Request(url, { method: "POST", headers: all, body: JSON.stringify(body) });
  }
  const rest = { ...(version === "1.0" ? params : olderRest(name, params)) };
  let where = name === "extendedCard" && version === "0.3" ? "/card" : path;
  where = where.replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = encodeURIComponent(String(params[key]));
    delete rest[key];
    return value;
  });
  const at = `${url}${version === "0.3" ? "/v1" : ""}${where}`;
  if (method === "POST") {
    return new Request(at, { method, headers: all, body: JSON.stringify(rest) });
  }
  const query = new URLSearchParams(
    Object.entries(rest).map(([key, value]) => [key, String(value)] as [string, string]),
  );
  return new Request(query.size > 0 ? `${at}?${query}` : at, { method, headers: all });
}

export async function call(
  surface: Surface,
  name: OperationName,
  params: Body = {},
): Promise<Answer> {
  return answerOf(await fetch(toRequest(surface, name, params)), surface, name);
}

/** Of any request, also of one that no client would write. */
export async function post(
  surface: Surface,
  body: unknown,
  headers: Body = {},
  path = "",
): Promise<Answer> {
  const response = await fetch(surface.url + path, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "a2a-version": surface.version,
      ...surface.headers,
      ...headers,
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return answerOf(response, surface, "send");
}

async function answerOf(
  response: Response,
  surface: Surface,
  name: OperationName,
): Promise<Answer> {
  const { status, headers } = response;
  const text = await response.text();
  const body: Body = text === "" ? {} : parse(text);
  const shown = { status, headers, body };
  if (surface.binding === "JSONRPC") {
    if (body?.error) return { ...shown, result: undefined, error: errorOf(body.error) };
    return { ...shown, result: toNewer(surface, name, body?.result), error: undefined };
  }
  if (status >= 400) {
    return { ...shown, result: undefined, error: errorOf(body?.error ?? body, status) };
  }
  return { ...shown, result: toNewer(surface, name, body), error: undefined };
}

function parse(text: string): Body {
  try {
    return JSON.parse(text);
  } catch {
    return { unreadable: text };
  }
}

function errorOf(error: Body, status?: number): Answer["error"] {
  const details: Body[] = [error?.details, error?.data].find(Array.isArray) ?? [];
  const info = details.find((each) => String(each?.["@type"]).endsWith("google.rpc.ErrorInfo"));
  return {
    code: status ?? Number(error?.code),
    reason: String(info?.reason ?? ""),
    message: String(error?.message ?? ""),
  };
}

/** @throws where the answer is an error */
export async function open(
  surface: Surface,
  name: "stream" | "subscribe",
  params: Body,
): Promise<Events | Answer> {
  const abort = new AbortController();
  const response = await fetch(toRequest(surface, name, params), { signal: abort.signal });
  const isStream = (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
  if (!isStream) return answerOf(response, surface, name);
  const raw: Body[] = [];
  const events = readEvents(response, surface, raw);
  return {
    headers: response.headers,
    raw,
    [Symbol.asyncIterator]: () => events,
    async close() {
      abort.abort();
      await events.return(undefined).catch(() => undefined);
    },
  };
}

async function* readEvents(
  response: Response,
  surface: Surface,
  raw: Body[],
): AsyncGenerator<Body> {
  let held = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    held += decoder.decode(piece, { stream: true });
    const blocks = held.split(/\r?\n\r?\n/);
    held = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
      const data = lines.map((line) => line.slice(5).trimStart()).join("\n");
      if (data === "") continue;
      const event = parse(data);
      raw.push(event);
      if (surface.binding === "JSONRPC" && event.error) throw new Error(event.error.message);
      yield toNewer(surface, "stream", surface.binding === "JSONRPC" ? event.result : event);
    }
  }
}

// 0.3's words, on their way out.

const olderRole = (role: string) => (role === "ROLE_AGENT" ? "agent" : "user");

function olderMessage({ parts, role, ...rest }: Body): Body {
  return {
    kind: "message",
    ...rest,
    role: olderRole(role),
    parts: parts.map((part: Body) => {
      if (part.text !== undefined) return { kind: "text", text: part.text };
      if (part.data !== undefined) return { kind: "data", data: part.data };
      const content = part.raw === undefined ? { uri: part.url } : { bytes: part.raw };
      return { kind: "file", file: { ...content, mimeType: part.mediaType, name: part.filename } };
    }),
  };
}

function olderPushConfig({ authentication, taskId: _task, ...rest }: Body): Body {
  if (!authentication) return rest;
  const { scheme, credentials } = authentication;
  return { ...rest, authentication: { schemes: [scheme], credentials } };
}

function olderConfiguration(configuration: Body, pushName: string): Body {
  const { returnImmediately, taskPushNotificationConfig: push, ...rest } = configuration;
  return {
    ...rest,
    blocking: returnImmediately !== true,
    ...(push ? { [pushName]: olderPushConfig(push) } : {}),
  };
}

function olderParams(name: OperationName, params: Body): Body {
  if (name === "send" || name === "stream") {
    const { message, configuration, ...rest } = params;
    return {
      ...rest,
      ...(message ? { message: olderMessage(message) } : {}),
      ...(configuration
        ? { configuration: olderConfiguration(configuration, "pushNotificationConfig") }
        : {}),
    };
  }
  if (name === "setPush") {
    return { taskId: params.taskId, pushNotificationConfig: olderPushConfig(params) };
  }
  const { taskId, id } = params;
  if (name === "getPush" || name === "deletePush")
    return { id: taskId, pushNotificationConfigId: id };
  if (name === "listPush") return { id: taskId };
  return params;
}

/** 0.3's HTTP+JSON is protobuf's JSON of its own a2a.proto. */
function olderRest(name: OperationName, params: Body): Body {
  if (name === "send" || name === "stream") {
    const { message, configuration, ...rest } = params;
    const { parts, ...facts } = message ?? {};
    return {
      ...rest,
      ...(message ? { message: { ...facts, content: parts.map(olderRestPart) } } : {}),
      ...(configuration
        ? { configuration: olderConfiguration(configuration, "pushNotification") }
        : {}),
    };
  }
  if (name === "setPush") {
    const { taskId, id } = params;
    return {
      name: `tasks/${taskId}/pushNotificationConfigs/${id}`,
      pushNotificationConfig: olderPushConfig(params),
    };
  }
  return params;
}

function olderRestPart({ text, data, raw, url, mediaType, filename }: Body): Body {
  if (text !== undefined) return { text };
  if (data !== undefined) return { data: { data } };
  const content = raw === undefined ? { fileWithUri: url } : { fileWithBytes: raw };
  return { file: { ...content, mimeType: mediaType, name: filename } };
}

// And on their way in.

const newerState = (word: string): string => {
  if (!word || word.startsWith("TASK_STATE_")) return String(word).replace("CANCELLED", "CANCELED");
  return `TASK_STATE_${word.toUpperCase().replaceAll("-", "_")}`;
};

function newerPart({ kind, file, data, ...rest }: Body): Body {
  if (file) {
    const raw = file.bytes ?? file.fileWithBytes;
    const content = raw === undefined ? { url: file.uri ?? file.fileWithUri } : { raw };
    return { ...rest, ...content, mediaType: file.mimeType, filename: file.name };
  }
  if (data === undefined) return rest;
  // Protobuf's DataPart holds a Struct by the same name.
  const isNested = kind === undefined && Object.keys(data ?? {}).join() === "data";
  return { ...rest, data: isNested ? data.data : data };
}

function newerMessage({ kind: _kind, content, parts, role, ...rest }: Body): Body {
  const isAgent = role === "agent" || role === "ROLE_AGENT";
  return {
    ...rest,
    role: isAgent ? "ROLE_AGENT" : "ROLE_USER",
    parts: (parts ?? content ?? []).map(newerPart),
  };
}

const newerStatus = ({ state, message, ...rest }: Body): Body => ({
  ...rest,
  state: newerState(state),
  ...(message ? { message: newerMessage(message) } : {}),
});

const newerArtifact = (artifact: Body): Body => ({
  ...artifact,
  parts: (artifact.parts ?? []).map(newerPart),
});

function newerTask({ kind: _kind, status, artifacts, history, ...rest }: Body): Body {
  return {
    ...rest,
    status: newerStatus(status ?? {}),
    ...(artifacts ? { artifacts: artifacts.map(newerArtifact) } : {}),
    ...(history ? { history: history.map(newerMessage) } : {}),
  };
}

function newerPush({ name, taskId, pushNotificationConfig: config }: Body): Body {
  const { authentication, ...rest } = config ?? {};
  return { ...rest, taskId: taskId ?? String(name).split("/")[1], authentication };
}

function toNewer({ version, binding }: Surface, name: OperationName, result: Body): Body {
  if (version === "1.0" || result === null || result === undefined) return result;
  if (name === "send" || name === "stream") {
    if (binding === "JSONRPC") return newerEvent(result);
    const { task, message, msg, statusUpdate, artifactUpdate } = result;
    if (task) return { task: newerTask(task) };
    if (message ?? msg) return { message: newerMessage(message ?? msg) };
    if (statusUpdate) {
      return { statusUpdate: { ...statusUpdate, status: newerStatus(statusUpdate.status) } };
    }
    return {
      artifactUpdate: {
        ...artifactUpdate,
        artifact: newerArtifact(artifactUpdate?.artifact ?? {}),
      },
    };
  }
  if (name === "get" || name === "cancel") return newerTask(result);
  if (name === "list") return { ...result, tasks: (result.tasks ?? []).map(newerTask) };
  if (name === "setPush" || name === "getPush") return newerPush(result);
  if (name === "listPush") return { configs: (result.configs ?? result).map(newerPush) };
  return result;
}

function newerEvent(result: Body): Body {
  const { kind, final: _final, ...rest } = result;
  if (kind === "message") return { message: newerMessage(rest) };
  if (kind === "status-update")
    return { statusUpdate: { ...rest, status: newerStatus(rest.status) } };
  if (kind === "artifact-update")
    return { artifactUpdate: { ...rest, artifact: newerArtifact(rest.artifact) } };
  return { task: newerTask(rest) };
}
