/**
 * Callers of revision 2026-07-28, who have no session and no handshake: each request says its version
 * and what its client can do, and is answered alone, whichever revision the server behind speaks.
 * Source: https://modelcontextprotocol.io/specification/2026-07-28/basic
 */

import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import { version } from "../../../std/version.ts";
import { rethrown } from "../mcp-error.ts";
import { type Asked, passOn } from "../pass-on.ts";
import { answer, isLoud } from "../requests.ts";
import { ErrorCode, type ServerCapabilities } from "../sdk.ts";
import { createEventStream, type EventStream } from "../sessions/event-stream.ts";
import { onSessionTask } from "../sessions/session-tasks.ts";
import { judgeInstructions } from "../tools/suspicion.ts";
import type { BorrowedLinks } from "../upstream/borrowed-links.ts";
import type { Connection, Envelope } from "../upstream/connection-contract.ts";
import type { View } from "../view.ts";
import {
  assertParamHeaders,
  errorOf,
  lacks,
  type Message,
  messageIn,
  Refusal,
  readEnvelope,
  refused,
} from "./envelope.ts";
import { type ListenParts, listenTo } from "./listen.ts";
import { askedBy, assertAskable, inNameOf, stateChars, toQuestion, unasked } from "./questions.ts";
import type { Round, SuspendedCalls, Talk, Turn } from "./suspended-calls.ts";
import { askable, hasTasks, metaOf, serverKey, statelessVersion, tasksExtension } from "./words.ts";

/** Whom a request reaches, and what they offer. */
export interface Reached {
  readonly view: View;
  /** Of the one server that it names; missing: of many. */
  readonly connection?: Connection;
}

export interface StatelessParts extends ListenParts {
  readonly calls: SuspendedCalls;
  readonly links: BorrowedLinks;
  readonly offered: ServerCapabilities;
}

/** How long such an answer is good for; it depends on who asks. */
const cached: ReadonlySet<string> = new Set([
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
]);
const listTtlMs = 60_000;

/** A call that is silent for so long is answered over a stream, so that nothing between takes it for dead. */
const streamAfterMs = 10_000;

interface Asking {
  readonly message: Message;
  readonly envelope: Envelope;
  readonly reached: Reached;
  readonly parts: StatelessParts;
}

export async function answerStateless(
  request: Request,
  body: unknown,
  open: () => Promise<Reached>,
  parts: StatelessParts,
): Promise<Response> {
  const message = messageIn(body);
  if (!message)
    return refused(
      undefined,
      new Refusal(ErrorCode.InvalidRequest, "The body is no JSON-RPC message."),
    );
  // What a client only tells is heard and needs no answer: of this revision it can cancel by hanging up.
  if (message.id === undefined) return new Response(null, { status: 202 });
  try {
    const envelope = readEnvelope(request, message);
    const reached = await open();
    await assertParamHeaders(request, message, reached.view);
    const asking = { message, envelope, reached, parts };
    if (message.method === "subscriptions/listen") return await listen(asking, request.signal);
    const streams = request.headers.get("accept")?.includes("text/event-stream") ?? false;
    return await reply(asking, request.signal, streams);
  } catch (thrown) {
    return refused(message.id, thrown);
  }
}

/** @throws Refusal, where tasks are asked for that the caller says he does not know */
function listen({ message, envelope, reached, parts }: Asking, gone: AbortSignal) {
  const { notifications } = message.params;
  const wantsTasks = isObject(notifications) && notifications["taskIds"] !== undefined;
  if (wantsTasks && !hasTasks(envelope.capabilities))
    throw lacks({ extensions: { [tasksExtension]: {} } });
  return listenTo(message, reached.view, gone, parts);
}

/** As JSON; as a stream from the first word before the answer on, for who reads one. */
async function reply(asking: Asking, gone: AbortSignal, streams: boolean): Promise<Response> {
  const { message, parts } = asking;
  let stream: EventStream | undefined;
  const left = new AbortController();
  const spoke = Promise.withResolvers<undefined>();
  const open = () => {
    if (!streams || stream) return;
    stream = createEventStream(parts.clock);
    stream.gone.addEventListener("abort", () => left.abort(), { once: true });
    spoke.resolve(undefined);
  };
  const say = (method: string, params: JsonObject) => {
    open();
    stream?.send({ jsonrpc: "2.0", method, params });
  };
  const stop = parts.clock.after(streamAfterMs, open);
  const round = roundOf(asking, AbortSignal.any([gone, left.signal]), say);
  const answered = run(asking, round).then((result) => ({
    jsonrpc: "2.0",
    id: message.id,
    result: complete(message.method, result),
  }));
  answered.catch(() => undefined); // handled below, in either way
  try {
    const first = await Promise.race([answered, spoke.promise]);
    if (first && !stream) return Response.json(first);
  } finally {
    stop();
  }
  void answered
    .catch((thrown: unknown) => ({ jsonrpc: "2.0", id: message.id, error: errorOf(thrown).error }))
    .then((last) => {
      stream?.send(last);
      stream?.close();
    });
  return (stream as EventStream | undefined)?.response ?? Response.json(await answered);
}

type Say = (method: string, params: JsonObject) => void;

function roundOf({ message, envelope }: Asking, signal: AbortSignal, say: Say): Round {
  const token = metaOf(message.params)["progressToken"];
  return {
    signal,
    ...(token === undefined
      ? {}
      : {
          onProgress: (told) => say("notifications/progress", { ...told, progressToken: token }),
        }),
    onNotification(method, params) {
      // Of a request's own only log lines are left, and only for who wants them.
      const isWanted = method === "notifications/message" && envelope.logLevel !== undefined;
      if (isWanted && isLoud(params["level"], envelope.logLevel)) say(method, params);
    },
  };
}

async function run(asking: Asking, round: Round): Promise<JsonObject> {
  const { message, envelope, reached } = asking;
  const { id = 0, method, params } = message;
  if (method === "server/discover") return discovered(asking);
  const asked: Asked = { id, params: bare(params), envelope, ...round };
  if (askable.has(method)) return await converse(asking, round);
  if (method.startsWith("tasks/")) return await onTask(asking, asked);
  return await answer(method, reached.view, asked);
}

/** The envelope is between the caller and us: servers have their own, and hear nothing of it. */
function bare(params: JsonObject): JsonObject {
  const { task: _, ...kept } = params; // a word of the revision before
  const meta = Object.entries(metaOf(params)).filter(
    ([key]) => !key.startsWith("io.modelcontextprotocol/"),
  );
  return { ...kept, _meta: Object.fromEntries(meta) };
}

function discovered({ reached, parts }: Asking): JsonObject {
  const { connection } = reached;
  const { instructions } = connection ?? {};
  return {
    supportedVersions: [statelessVersion],
    capabilities: capabilitiesOf(connection, parts.offered),
    ...(instructions ? { instructions: judgeInstructions(instructions) } : {}),
  };
}

/** What is passed on as it comes, and may therefore be promised. */
const passed: readonly string[] = [tasksExtension, "io.modelcontextprotocol/ui"];

function capabilitiesOf(connection: Connection | undefined, offered: ServerCapabilities) {
  if (!connection) return { ...offered, extensions: { [tasksExtension]: {} } } as JsonObject;
  const { experimental: _, tasks, ...rest } = connection.capabilities;
  const { extensions: told, ...kept } = rest as unknown as JsonObject;
  const extensions = Object.fromEntries(
    passed.flatMap((name) =>
      isObject(told) && told[name] !== undefined ? [[name, told[name]]] : [],
    ),
  );
  if (tasks?.requests?.tools?.call) extensions[tasksExtension] = {};
  return Object.keys(extensions).length > 0 ? { ...kept, extensions } : kept;
}

/** A call that may be answered with a question, or goes on with the answers to one. */
async function converse(asking: Asking, round: Round): Promise<JsonObject> {
  const { message, envelope, reached, parts } = asking;
  const { caller } = reached.view;
  const { requestState, ...rest } = message.params;
  const state = requestState === undefined ? undefined : await stateIn(asking, requestState);
  let owner: McpServer | undefined;
  const start = (talk: Talk) => {
    const upstream = state && "upstream" in state ? state.upstream : undefined;
    const params = bare({ ...rest, ...(upstream ? { requestState: upstream } : {}) });
    const view = { ...reached.view, borrow: borrowFor(asking, talk) };
    return answer(message.method, view, {
      id: message.id ?? 0,
      params,
      envelope,
      signal: talk.signal,
      onNotification: talk.onNotification,
      ...(round.onProgress ? { onProgress: talk.onProgress } : {}),
      onOwner: (server) => {
        owner = server;
      },
    });
  };
  try {
    const turn =
      state && "call" in state
        ? await parts.calls.resume(caller.id, state.call, rest["inputResponses"], round)
        : await parts.calls.begin(caller.id, round, start);
    if (!turn) throw ended();
    return await told(asking, turn, owner);
  } catch (thrown) {
    return await told(asking, { result: toQuestion(thrown, envelope.capabilities) }, owner);
  }
}

/** @throws Refusal, where it was changed, or is another's */
async function stateIn({ message, reached, parts }: Asking, text: Json) {
  const { caller } = reached.view;
  const state =
    typeof text === "string" ? await parts.handles.openState(caller, message, text) : undefined;
  if (state) return state;
  throw new Refusal(
    ErrorCode.InvalidParams,
    "requestState is not as it was given out for this request, or too old: call again without it.",
  );
}

const ended = () =>
  new Refusal(
    ErrorCode.InvalidParams,
    "The call that this requestState belongs to waits no longer: it was given up, or another process of the gateway began it. Call again without requestState and inputResponses.",
  );

/** What the server says or asks, in handles that are the caller's. @throws McpError */
async function told(
  { message, envelope, reached, parts }: Asking,
  turn: Turn,
  owner: McpServer | undefined,
): Promise<JsonObject> {
  const { caller } = reached.view;
  if ("call" in turn) {
    assertAskable(turn.asks, envelope.capabilities);
    const requestState = await parts.handles.sealState(caller, message, { call: turn.call });
    return { resultType: "input_required", inputRequests: turn.asks, requestState };
  }
  const { result } = turn;
  if (result["resultType"] === "input_required") {
    assertAskable(result["inputRequests"], envelope.capabilities);
    const { requestState } = result;
    const asks = owner ? askedBy(owner, reached.view.scope, result["inputRequests"]) : {};
    if (typeof requestState !== "string") return { ...result, ...asks };
    if (requestState.length > stateChars)
      throw unasked(`a state of ${requestState.length} characters`);
    const state = { upstream: requestState };
    const sealed = await parts.handles.sealState(caller, message, state);
    return { ...result, ...asks, requestState: sealed };
  }
  const { resultType = "complete" } = result;
  if (resultType === "complete") return result;
  if (resultType !== "task")
    throw unasked(`a result of the kind "${String(resultType).slice(0, 40)}"`);
  if (!owner || !hasTasks(envelope.capabilities)) throw unasked("a task");
  const task = { server: owner.name, id: String(result["taskId"]) };
  return { ...result, taskId: await parts.handles.sealTask(caller, task) };
}

/** A connection of its own for a server with sessions, where the caller can be asked or hears its log. */
function borrowFor({ envelope, reached, parts }: Asking, talk: Talk): View["borrow"] {
  const { view } = reached;
  const { capabilities, logLevel } = envelope;
  const { elicitation, sampling, roots } = capabilities;
  const canAnswer = elicitation !== undefined || sampling !== undefined || roots !== undefined;
  if (!canAnswer && logLevel === undefined) return undefined;
  const own: JsonObject = {
    ...(elicitation === undefined ? {} : { elicitation }),
    ...(sampling === undefined ? {} : { sampling }),
    ...(roots === undefined ? {} : { roots }),
  };
  return async (server) => {
    if (server.transport === "inner") return undefined;
    const { era } = await view.reach(server).link.open();
    if (era === "stateless") return undefined;
    return await parts.links.borrow(server, {
      caller: view.caller,
      capabilities: own,
      logLevel,
      talk: {
        ...talk,
        ask: (method, params, signal) =>
          talk.ask(method, inNameOf(server, view.scope, method, params), signal),
      },
    });
  };
}

/** A task by the handle that was given out for it. @throws McpError invalid params */
async function onTask({ message, envelope, reached, parts }: Asking, asked: Asked) {
  const { view } = reached;
  const shown = String(asked.params["taskId"] ?? "");
  const task = await parts.handles.openTask(view.caller, shown);
  const server = task && view.scope.servers.find(({ name }) => name === task.server);
  if (!task || !server)
    throw rethrown(ErrorCode.InvalidParams, "There is no task of this id for you here.");
  const { link } = view.reach(server);
  const { era } = await link.open();
  const result =
    era === "session"
      ? await onSessionTask(message.method, link, task.id, asked)
      : await passOn(view, server, message.method, {
          ...asked,
          params: { ...asked.params, taskId: task.id },
        });
  assertAskable(result["inputRequests"], envelope.capabilities);
  const inner = isObject(result["result"]) ? { result: marked(result["result"], server) } : {};
  return { ...result, ...inner, ...(result["taskId"] === undefined ? {} : { taskId: shown }) };
}

const marked = (result: JsonObject, { name }: McpServer): JsonObject => ({
  ...result,
  _meta: { ...metaOf(result), "routeiq/server": name, "routeiq/untrusted": true },
});

function complete(method: string, result: JsonObject): JsonObject {
  const { ttlMs } = result;
  const isWhole = typeof ttlMs === "number" && Number.isInteger(ttlMs) && ttlMs >= 0;
  const usualMs = method === "resources/read" ? 0 : listTtlMs;
  // Whose key it was asked with decides what is in it, whatever its server says of it.
  const lifetime = { ttlMs: isWhole ? ttlMs : usualMs, cacheScope: "private" };
  const serverInfo = { name: "routeiq-mcp-gateway", version };
  return {
    resultType: "complete",
    ...result,
    ...(cached.has(method) && result["resultType"] !== "input_required" ? lifetime : {}),
    _meta: { ...metaOf(result), [serverKey]: serverInfo },
  };
}
