/**
 * `subscriptions/listen`: the changes that a caller of revision 2026-07-28 wants to hear of, from every
 * server he reaches, of whichever revision it is, until he hangs up.
 * Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions
 */
import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import type { Clock } from "../../../std/clock.ts";
import { findResourceOwner, readResourceUri } from "../resource-names.ts";
import type { ServerCapabilities } from "../sdk.ts";
import { createEventStream } from "../sessions/event-stream.ts";
import { unrelated } from "../tools/task-shapes.ts";
import type { Changes, OnChange } from "../upstream/changes.ts";
import type { Link } from "../upstream/link.ts";
import type { View } from "../view.ts";
import type { Message } from "./envelope.ts";
import type { Handles } from "./handles.ts";
import { metaOf, subscriptionKey } from "./words.ts";

export interface ListenParts {
  readonly clock: Clock;
  readonly changes: Changes;
  readonly handles: Handles;
}

const limits = {
  /** Resources and tasks of one stream. */
  names: 1_000,
  /** How long servers are given to say what they will tell of. */
  agreeMs: 5_000,
} as const;

/** By the caller's names → by the server's. */
interface Wanted {
  readonly server: McpServer;
  readonly lists: JsonObject;
  readonly uris: ReadonlyMap<string, string>;
  readonly tasks: ReadonlyMap<string, string>;
}

/** `gone`: the caller has hung up. Resolves once the servers have said what they will tell of. */
export async function listenTo(
  { id, params }: Message,
  view: View,
  gone: AbortSignal,
  parts: ListenParts,
): Promise<Response> {
  const asked = isObject(params["notifications"]) ? params["notifications"] : {};
  const wanted = await sortOut(asked, view, gone, parts.handles);
  const stream = createEventStream(parts.clock);
  const ended = AbortSignal.any([gone, stream.gone]);
  const held: JsonObject[] = [];
  let hold = true;
  const tell = (method: string, told: JsonObject) => {
    const _meta = { ...metaOf(told), [subscriptionKey]: id ?? null };
    const message = { jsonrpc: "2.0", method, params: { ...told, _meta } };
    if (hold) held.push(message);
    else stream.send(message);
  };
  const agreed = await Promise.all(
    wanted.map((each) =>
      // A server that is away tells nothing; the others do.
      hearServer(each, view, { tell, ended, ...parts }).catch((): JsonObject => ({})),
    ),
  );
  hold = false;
  tell("notifications/subscriptions/acknowledged", { notifications: merged(agreed) });
  for (const message of held) stream.send(message);
  gone.addEventListener("abort", () => stream.close(), { once: true });
  return stream.response;
}

/** What of it concerns which server. What is nobody's is left out, and so not agreed to. */
async function sortOut(
  asked: JsonObject,
  view: View,
  signal: AbortSignal,
  handles: Handles,
): Promise<readonly Wanted[]> {
  const lists = Object.fromEntries(
    ["toolsListChanged", "promptsListChanged", "resourcesListChanged"].flatMap((name) =>
      asked[name] === true ? [[name, true]] : [],
    ),
  );
  const uris = new Map<string, Map<string, string>>();
  const tasks = new Map<string, Map<string, string>>();
  const add = (of: typeof uris, server: string, own: string, shown: string) =>
    of.set(server, (of.get(server) ?? new Map()).set(own, shown));
  for (const uri of namesIn(asked["resourceSubscriptions"])) {
    const resource = readResourceUri(uri);
    const owner = await findResourceOwner(view, resource, signal).catch(() => undefined);
    if (owner) add(uris, owner.name, resource.uri, uri);
  }
  for (const shown of namesIn(asked["taskIds"])) {
    const task = await handles.openTask(view.caller, shown);
    if (task) add(tasks, task.server, task.id, shown);
  }
  return view.scope.servers.map((server) => ({
    server,
    lists,
    uris: uris.get(server.name) ?? new Map(),
    tasks: tasks.get(server.name) ?? new Map(),
  }));
}

function namesIn(value: Json | undefined): readonly string[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly Json[])
    .filter((name): name is string => typeof name === "string")
    .slice(0, limits.names);
}

interface Hearing extends ListenParts {
  readonly tell: (method: string, params: JsonObject) => void;
  readonly ended: AbortSignal;
}

/** What it agreed to tell of, in the caller's names. */
async function hearServer(wanted: Wanted, view: View, hearing: Hearing): Promise<JsonObject> {
  const { server, lists, uris, tasks } = wanted;
  const reach = view.reach(server);
  const connection = await within(hearing.clock, reach.link.open());
  const heard = (method: string, params: JsonObject) => {
    forgetOf(method, () => reach.catalog.forget());
    const told = inCallersNames(method, params, wanted);
    if (told) hearing.tell(method, told);
  };
  // What is approved or configured here changes lists as well, whatever their server tells of.
  const stop = hearing.changes.on(server.name, heard);
  hearing.ended.addEventListener("abort", stop, { once: true });
  const filter = {
    ...lists,
    ...(uris.size > 0 ? { resourceSubscriptions: [...uris.keys()] } : {}),
    ...(tasks.size > 0 ? { taskIds: [...tasks.keys()] } : {}),
  };
  if (connection.listen) {
    return inShownNames(
      await within(hearing.clock, keepListening(reach.link, filter, heard, hearing)),
      wanted,
    );
  }
  if (connection.capabilities.resources?.subscribe) {
    await within(hearing.clock, subscribe(server.name, reach.link, [...uris.keys()], hearing));
  }
  return inShownNames(agreedBy(connection.capabilities, filter), wanted);
}

/**
 * A stream that breaks is opened again, later each time, for as long as the caller listens; what changed
 * meanwhile nobody knows, so that its lists are told as changed. Resolves with what was agreed first.
 */
async function keepListening(
  link: Link,
  filter: JsonObject,
  heard: OnChange,
  { clock, ended }: Hearing,
): Promise<JsonObject> {
  let failures = 0;
  const begin = async (): Promise<JsonObject> => {
    const { listen } = await link.open();
    if (!listen) throw new Error("it is of another revision now");
    const { promise: broken, reject } = Promise.withResolvers<never>();
    broken.catch(() => undefined); // after it agreed, it is opened again
    let agreed = false;
    const onEnd = () => {
      reject(new Error("it ended the stream of changes"));
      if (agreed) again();
    };
    const listening = listen(filter, { signal: ended, onNotification: heard, onEnd });
    const answer = await Promise.race([listening, broken]);
    agreed = true;
    failures = 0;
    return answer;
  };
  const again = () => {
    if (ended.aborted) return;
    const pauseMs = Math.min(againMs.most, againMs.least * 2 ** failures++);
    const stop = clock.after(pauseMs, () => void begin().then(tellAll, again));
    ended.addEventListener("abort", stop, { once: true });
  };
  const tellAll = () => {
    for (const kind of ["tools", "prompts", "resources"])
      if (filter[`${kind}ListChanged`] === true) heard(`notifications/${kind}/list_changed`, {});
  };
  return await begin();
}

const againMs = { least: 1_000, most: 60_000 } as const;

/** Over a connection that is shared: the first who wants to hear of a resource subscribes, the last ends it. */
async function subscribe(
  server: string,
  link: Link,
  uris: readonly string[],
  { changes, ended }: Hearing,
): Promise<void> {
  for (const uri of uris) {
    const isFirst = changes.count(server, uri, 1) === 1;
    const end = () => {
      if (changes.count(server, uri, -1) > 0) return;
      const signal = AbortSignal.timeout(limits.agreeMs);
      // A server that is gone has forgotten it already.
      void link.request("resources/unsubscribe", { uri }, { signal }).catch(() => undefined);
    };
    ended.addEventListener("abort", end, { once: true });
    if (isFirst) await link.request("resources/subscribe", { uri }, { signal: ended });
  }
}

/** Of a server with sessions: what its capabilities promise. Of tasks it tells over no shared connection. */
function agreedBy(capabilities: ServerCapabilities, filter: JsonObject): JsonObject {
  const { tools, prompts, resources } = capabilities;
  const kept: Readonly<Record<string, boolean | undefined>> = {
    toolsListChanged: tools?.listChanged,
    promptsListChanged: prompts?.listChanged,
    resourcesListChanged: resources?.listChanged,
    resourceSubscriptions: resources?.subscribe,
  };
  return Object.fromEntries(Object.entries(filter).filter(([name]) => kept[name] === true));
}

function inShownNames(agreed: JsonObject, { uris, tasks }: Wanted): JsonObject {
  const shown = (value: Json | undefined, names: ReadonlyMap<string, string>) =>
    namesIn(value).flatMap((name) => names.get(name) ?? []);
  const { resourceSubscriptions, taskIds, ...lists } = agreed;
  return {
    ...lists,
    ...(resourceSubscriptions === undefined
      ? {}
      : { resourceSubscriptions: shown(resourceSubscriptions, uris) }),
    ...(taskIds === undefined ? {} : { taskIds: shown(taskIds, tasks) }),
  };
}

/** Undefined where he did not ask for it. */
function inCallersNames(
  method: string,
  params: JsonObject,
  { lists, uris, tasks }: Wanted,
): JsonObject | undefined {
  if (method === "notifications/resources/updated") {
    const uri = uris.get(String(params["uri"]));
    return uri === undefined ? undefined : { ...params, uri };
  }
  if (method === "notifications/tasks") {
    const taskId = tasks.get(String(params["taskId"]));
    return taskId === undefined ? undefined : { ...unrelated(params), taskId };
  }
  const kind = /^notifications\/(tools|prompts|resources)\/list_changed$/.exec(method)?.[1];
  return kind !== undefined && lists[`${kind}ListChanged`] === true ? params : undefined;
}

function forgetOf(method: string, forget: () => void): void {
  if (method.endsWith("list_changed")) forget();
}

function merged(agreed: readonly JsonObject[]): JsonObject {
  const whole: Record<string, Json> = {};
  for (const [name, value] of agreed.flatMap((each) => Object.entries(each))) {
    const before = whole[name];
    if (Array.isArray(value)) whole[name] = [...(Array.isArray(before) ? before : []), ...value];
    else if (value === true) whole[name] = true;
  }
  return whole;
}

/** @throws Error, once it takes too long */
function within<T>(clock: Clock, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const stop = clock.after(limits.agreeMs, () => reject(new Error("it does not answer")));
  return Promise.race([work, late]).finally(stop);
}
