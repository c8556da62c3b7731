/** A2A: `/a2a/{agent}` by JSON-RPC and by HTTP+JSON, streams as server-sent events, and cards. */

import type { Agent } from "../../agents/a2a/agent.ts";
import type { Agents, Asker } from "../../agents/a2a/agents-contract.ts";
import { type CardSite, toExtendedCard } from "../../agents/a2a/card.ts";
import { cardKeysPath } from "../../agents/a2a/card-signer.ts";
import {
  A2aError,
  toA2aError,
  toOlderRestError,
  toRestError,
  toRpcError,
} from "../../agents/a2a/errors.ts";
import { answerRest, versionOfPath } from "../../agents/a2a/rest.ts";
import { answerRpc, idOf, type RpcId, readRpc, versionOf } from "../../agents/a2a/rpc.ts";
import { toWriting } from "../../agents/a2a/writing.ts";
import type { Caller } from "../../domain/call.ts";
import { isListed } from "../../domain/grants.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import { denyClosed, grantsOf } from "../../pipeline/grants.ts";
import type { Services } from "../../pipeline/services.ts";
import { sha256Hex } from "../../security/hashing.ts";
import { JsonParseFailed, parseJson } from "../../std/json.ts";
import { encodeSse } from "../../std/sse.ts";
import { version as productVersion } from "../../std/version.ts";
import { readBytes } from "../read-body.ts";
import { AdminError, callerOf, type Route, type RouteContext } from "../route.ts";

const source = "https://a2a-protocol.org/v1.0.0/specification/";
const pingMs = 15_000;

export function a2aRoutes(agents: Agents): readonly Route[] {
  const common = { errors: "detail", docs: { source } } as const;
  const rpc = (path: string, summary: string): Route => ({
    ...common,
    ...{ method: "POST", path, summary, who: "caller-or-admin" },
    docs: { source, body: "A2aRequest" },
    handle: (request, context) => handleRpc(request, context, agents),
  });
  const card = (path: string, summary: string, older: boolean): Route => ({
    ...common,
    ...{ method: "GET", path, summary, who: "anyone" },
    handle: (request, context) => handleCard(request, context, agents, older),
  });
  const rest = (method: Route["method"], summary: string): Route => ({
    ...common,
    ...{ method, path: "/a2a/:agent/*", summary, who: "caller-or-admin" },
    handle: (request, context) => handleRest(request, context, agents),
  });
  return [
    card(
      "/.well-known/agent-card.json",
      "The gateway's own A2A card: its agents are its skills.",
      false,
    ),
    card("/.well-known/agent.json", "The same as A2A 0.3 writes it.", true),
    card("/.well-known/agents/:file", "An agent's card, by `{agent}.json`.", false),
    card("/a2a/:agent/.well-known/agent-card.json", "An agent's A2A card.", false),
    card("/a2a/:agent/.well-known/agent.json", "The same as A2A 0.3 writes it.", true),
    {
      ...common,
      ...{ method: "GET", path: cardKeysPath, who: "anyone" },
      summary: "The keys by which signatures of A2A cards are checked.",
      handle: async () =>
        json(await agents.cardKeys(), 200, { "cache-control": "public, max-age=300" }),
    },
    rpc("/a2a", "A2A by JSON-RPC; `params.tenant` names the agent."),
    rpc(
      "/a2a/:agent",
      "A2A by JSON-RPC with one agent: 1.0 and 0.3, by `A2A-Version` or the method's name.",
    ),
    rpc("/a2a/:agent/message/send", "The same."),
    rpc("/a2a/:agent/message/stream", "The same."),
    rest(
      "POST",
      "A2A by HTTP+JSON: `message:send`, `message:stream`, `tasks/{id}:cancel`, `tasks/{id}:subscribe`, `tasks/{id}/pushNotificationConfigs`.",
    ),
    rest(
      "GET",
      "A2A by HTTP+JSON: `tasks`, `tasks/{id}`, `tasks/{id}:subscribe`, `tasks/{id}/pushNotificationConfigs/{id}`, `extendedAgentCard`.",
    ),
    rest("DELETE", "A2A by HTTP+JSON: `tasks/{id}/pushNotificationConfigs/{id}`."),
  ];
}

async function handleRpc(
  request: Request,
  context: RouteContext,
  agents: Agents,
): Promise<Response> {
  const { services } = context;
  const leave = new AbortController();
  let id: RpcId = null;
  try {
    const body = await readJson(request, services);
    id = idOf(body);
    const asked = readRpc(body);
    const { params } = asked;
    const version = versionOf(askedVersion(request, new URL(request.url)), asked.method);
    const tenant = typeof params["tenant"] === "string" ? params["tenant"] : "";
    const agent = await findAgent(context.params["agent"] || tenant, agents);
    const asker = toAsker(agent, request, services, { version, left: leave.signal });
    const site = siteOf(request, services, version);
    const extendedCard = () => toExtended(agents, agent, site, services);
    const writing = toWriting(version, "JSONRPC");
    const answer = await answerRpc(asked, asker, { agents, writing, extendedCard });
    if ("result" in answer) return json({ jsonrpc: "2.0", id, result: answer.result });
    const wrap = (result: JsonObject): Json => ({ jsonrpc: "2.0", id, result });
    const failed = (error: A2aError): Json => ({ jsonrpc: "2.0", id, error: toRpcError(error) });
    return streaming(await begun(answer.events), { wrap, failed, services, leave });
  } catch (thrown) {
    leave.abort();
    const error = seen(thrown, services);
    // A2A's own errors are answers; only what stands before an agent has a status of HTTP's.
    const status = standsBefore.has(error.kind) ? error.row.status : 200;
    return json({ jsonrpc: "2.0", id, error: toRpcError(error) }, status, retryAfter(error));
  }
}

const standsBefore: ReadonlySet<string> = new Set([
  "agentNotFound",
  "rateLimited",
  "permissionDenied",
]);

async function handleRest(
  request: Request,
  context: RouteContext,
  agents: Agents,
): Promise<Response> {
  const { services, params } = context;
  const path = params["*"] ?? "";
  const leave = new AbortController();
  let version = versionOfPath(path);
  try {
    const url = new URL(request.url);
    version = versionOf(askedVersion(request, url) || version, "");
    const agent = await findAgent(params["agent"] ?? "", agents);
    const asker = toAsker(agent, request, services, { version, left: leave.signal });
    const query = Object.fromEntries(url.searchParams);
    const body = request.method === "POST" ? await readJson(request, services) : {};
    const site = siteOf(request, services, version);
    const asked = { method: request.method, path, query, body };
    const extendedCard = () => toExtended(agents, agent, site, services);
    const writing = toWriting(version, "HTTP+JSON");
    const answer = await answerRest(asked, asker, { agents, writing, extendedCard });
    if ("result" in answer) return json(answer.result as JsonObject, 200, {}, mediaTypes[version]);
    return streaming(await begun(answer.events), {
      wrap: (event) => event,
      failed: version === "0.3" ? toOlderRestError : toRestError,
      ...{ services, leave },
    });
  } catch (thrown) {
    leave.abort();
    const error = seen(thrown, services);
    const body = version === "0.3" ? toOlderRestError(error) : toRestError(error);
    return json(body, error.row.status, retryAfter(error));
  }
}

/** Of answers of the HTTP+JSON binding; errors are plain JSON in both. */
const mediaTypes = { "1.0": "application/a2a+json", "0.3": "application/json" } as const;

/** A header field, or for clients that can set none a parameter of the same name. */
const askedVersion = (request: Request, url: URL): string =>
  request.headers.get("a2a-version") ?? url.searchParams.get("A2A-Version") ?? "";

async function handleCard(
  request: Request,
  { services, params }: RouteContext,
  agents: Agents,
  older: boolean,
): Promise<Response> {
  const given = request.headers.get("a2a-version") ?? "";
  const form = older || given.startsWith("0.3") ? "0.3" : given.startsWith("1") ? "1.0" : "both";
  const site = siteOf(request, services, form);
  const name = params["agent"] ?? params["file"]?.replace(/\.json$/, "");
  const card =
    name === undefined
      ? await agents.gatewayCard(site)
      : await agentCard(name, agents, site, services);
  const body = await agents.signed(card, site);
  // Of what is said, not of its signature, which differs each time.
  const etag = `"${sha256Hex(JSON.stringify(card)).slice(0, 32)}"`;
  const headers = { "cache-control": "public, max-age=60", vary: "A2A-Version", etag };
  const known = request.headers.get("if-none-match")?.split(",") ?? [];
  const isKnown = known.some((each) => each.trim().replace(/^W\//, "") === etag);
  return isKnown ? new Response(null, { status: 304, headers }) : json(body, 200, headers);
}

async function agentCard(
  name: string,
  agents: Agents,
  site: CardSite,
  services: Services,
): Promise<JsonObject> {
  const agent = await agents.registry.find(name);
  if (!agent)
    throw new AdminError(404, "agent_not_found", `There is no agent '${name.slice(0, 100)}'.`);
  try {
    return await agents.card(agent, site);
  } catch (thrown) {
    const error = seen(thrown, services);
    throw new AdminError(
      502,
      "agent_unreachable",
      `The agent's own card cannot be had: ${error.message}`,
    );
  }
}

async function toExtended(
  agents: Agents,
  agent: Agent,
  site: CardSite,
  { config }: Services,
): Promise<JsonObject> {
  const { taskTtlMs, tasksPerMinute, runMs } = config.routeiq.a2a;
  const card = await agents.card(agent, site);
  return agents.signed(toExtendedCard(card, { taskTtlMs, tasksPerMinute, runMs }), site);
}

async function findAgent(name: string, agents: Agents): Promise<Agent> {
  const agent = name === "" ? undefined : await agents.registry.find(name);
  if (agent) return agent;
  const message =
    name === ""
      ? "No agent is named: post to /a2a/{agent}, or set params.tenant."
      : `There is no agent '${name.slice(0, 100)}'.`;
  throw new A2aError("agentNotFound", `${message} GET /a2a/agents lists them.`);
}

function toAsker(
  agent: Agent,
  request: Request,
  services: Services,
  more: Pick<Asker, "version" | "left">,
): Asker {
  const { headers } = request;
  const extensions = headers.get("a2a-extensions") ?? headers.get("x-a2a-extensions") ?? undefined;
  const caller = callerOf(request, services);
  assertAgentGranted(agent, caller, services);
  return { agent, caller, extensions, ...more };
}

/** @throws GatewayError permission_denied, which is written down */
export function assertAgentGranted(
  { name, id }: Pick<Agent, "name" | "id">,
  caller: Caller,
  services: Services,
): void {
  if (isListed(grantsOf(caller, services)?.agents, name, id)) return;
  throw denyClosed({ what: "agent", name }, caller, services);
}

function siteOf(request: Request, { config }: Services, form: CardSite["form"]): CardSite {
  const baseUrl = config.routeiq.a2a.baseUrl ?? new URL(request.url).origin;
  return { baseUrl, version: productVersion, form };
}

/** @throws A2aError parse */
async function readJson(request: Request, services: Services): Promise<JsonObject> {
  const bytes = await readBytes(request, services);
  if (bytes.byteLength === 0 && !request.url.endsWith(":send")) return {};
  try {
    return parseJson(bytes) as JsonObject;
  } catch (cause) {
    if (!(cause instanceof JsonParseFailed)) throw cause;
    throw new A2aError("parse", `The body is not JSON: ${cause.message}.`, {}, { cause });
  }
}

/** What is no fault of the caller's or the agent's is told to the operator. */
function seen(thrown: unknown, services: Services): A2aError {
  const error = toA2aError(thrown);
  const isOurs = error.kind === "internal" && error.more["error"] === "internal";
  if (isOurs) services.onInternalFailure(thrown);
  return error;
}

function retryAfter({ kind, more }: A2aError): Record<string, string> {
  if (kind !== "rateLimited") return {};
  return { "retry-after": String(Math.ceil(Number(more["retryAfterMs"] ?? 1_000) / 1_000)) };
}

function json(
  body: JsonObject,
  status = 200,
  headers: Record<string, string> = {},
  type = "application/json",
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": type, ...headers },
  });
}

/** A stream that fails before its first event is an error like any other. */
async function begun(events: AsyncIterable<JsonObject>): Promise<AsyncGenerator<JsonObject>> {
  const iterator = events[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    try {
      for (let next = first; !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  })();
}

interface Writing {
  readonly wrap: (event: JsonObject) => Json;
  readonly failed: (error: A2aError) => Json;
  readonly services: Services;
  /** Told when nobody listens any more. */
  readonly leave: AbortController;
}

/** Held up by a slow reader; a comment now and then keeps proxies from closing a quiet stream. */
function streaming(
  events: AsyncGenerator<JsonObject>,
  { wrap, failed, services, leave }: Writing,
): Response {
  const encoder = new TextEncoder();
  const { clock } = services;
  let stopPing: () => void = () => undefined;
  let over = false;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const ping = () => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(": ping\n\n"));
        stopPing = clock.after(pingMs, ping);
      };
      stopPing = clock.after(pingMs, ping);
    },
    async pull(controller) {
      try {
        const next = await events.next();
        if (over) return;
        if (!next.done) {
          controller.enqueue(encoder.encode(encodeSse({ data: JSON.stringify(wrap(next.value)) })));
          return;
        }
      } catch (thrown) {
        if (over) return;
        const error = seen(thrown, services);
        controller.enqueue(encoder.encode(encodeSse({ data: JSON.stringify(failed(error)) })));
      }
      over = true;
      stopPing();
      leave.abort();
      controller.close();
    },
    cancel() {
      over = true;
      stopPing();
      // The task goes on; only the listening ends.
      leave.abort();
      events.return(undefined).catch(services.onInternalFailure);
    },
  });
  const headers = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  };
  return new Response(body, { headers });
}
