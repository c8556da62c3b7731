/** One client's session: the SDK's server towards it, and connections of its own to every server. */

import type { Caller } from "../../../domain/call.ts";
import { isObject, type JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import type { Services } from "../../../pipeline/services.ts";
import { version } from "../../../std/version.ts";
import { rethrown } from "../mcp-error.ts";
import type { Asked } from "../pass-on.ts";
import { answer, isLoud } from "../requests.ts";
import type { Scope } from "../scope.ts";
import {
  type ClientCapabilities,
  ErrorCode,
  ResultSchema,
  Server,
  type ServerCapabilities,
  type Transport,
} from "../sdk.ts";
import { inNameOf } from "../stateless/questions.ts";
import type { Pins } from "../tools/pins.ts";
import { judgeInstructions } from "../tools/suspicion.ts";
import type { ToolSearch } from "../tools/tool-search.ts";
import type { Connection } from "../upstream/connection-contract.ts";
import { Link, type LinkParts } from "../upstream/link.ts";
import { createReach, createView, type Reach, type View } from "../view.ts";

export interface SessionParts extends LinkParts {
  readonly services: () => Services;
  readonly pins: Pins;
  readonly search: ToolSearch;
  readonly approvals: () => number;
}

export interface Session {
  readonly caller: Caller;
  readonly scope: Scope;
  /** Of the same id: another token of his may open more, or less. */
  speakFor(caller: Caller): void;
  /** Lists may differ from now on: what was approved, or configured. */
  changed(): void;
  close(): Promise<void>;
}

/** What many servers together offer; each is asked when it is needed. */
export const allCapabilities: ServerCapabilities = {
  tools: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  prompts: { listChanged: true },
  logging: {},
  completions: {},
};

/** What a session's client is told of its one server, or of many. */
function toSessionCapabilities(mirrored: Connection | undefined): ServerCapabilities {
  if (!mirrored) return allCapabilities;
  if (mirrored.era === "session") return mirrored.capabilities;
  const { extensions: _, ...kept } = mirrored.capabilities as ServerCapabilities & JsonObject;
  return kept as ServerCapabilities;
}

/** What servers may ask of a client. */
const clientMethods: ReadonlySet<string> = new Set([
  "sampling/createMessage",
  "elicitation/create",
  "roots/list",
  "tasks/get",
  "tasks/result",
  "tasks/list",
  "tasks/cancel",
]);

const changes: Readonly<
  Record<string, readonly ("tools" | "prompts" | "resources" | "templates")[]>
> = {
  "notifications/tools/list_changed": ["tools"],
  "notifications/prompts/list_changed": ["prompts"],
  "notifications/resources/list_changed": ["resources", "templates"],
};

export interface SessionOptions {
  readonly scope: Scope;
  readonly caller: Caller;
  /** What the client can do, asked when a server is connected to. */
  readonly capabilities: () => ClientCapabilities;
  readonly parts: SessionParts;
}

/** Connects it to the client. With one server, that is reached first, to offer what it offers. */
export async function openSession(
  transport: Transport,
  { scope, caller, capabilities, parts }: SessionOptions,
): Promise<Session> {
  const reaches = new Map<string, Reach>();
  let server: Server | undefined;
  const view = createView({ ...parts, scope, caller, reach });

  function reach(upstream: McpServer): Reach {
    const known = reaches.get(upstream.name);
    if (known) return known;
    const made: Reach = createReach(
      new Link(upstream, parts, {
        caller,
        hears: true,
        get capabilities() {
          return capabilities();
        },
        onRequest: (method, params, signal) => {
          const maxMs = parts.settings().maxCallMs;
          const named = inNameOf(upstream, scope, method, params);
          return askClient(server, made, { method, params: named, signal, maxMs });
        },
        onNotification: (method, params) => tellClient(server, view, made, { method, params }),
      }),
      parts.services(),
    );
    reaches.set(upstream.name, made);
    return made;
  }

  const close = async () => {
    await Promise.all([...reaches.values()].map(({ link }) => link.close()));
    await server?.close();
  };
  const [only] = scope.servers;
  try {
    const mirrored = scope.single && only ? await reach(only).link.open() : undefined;
    server = createServer(view, toSessionCapabilities(mirrored), mirrored?.instructions);
    server.fallbackNotificationHandler = async ({ method, params }) => {
      if (method !== "notifications/roots/list_changed") return;
      for (const { link } of reaches.values())
        await link.notify(method, { ...params } as JsonObject);
    };
    await server.connect(transport);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return {
    caller,
    scope,
    speakFor(now) {
      view.caller = now;
    },
    changed() {
      for (const { catalog } of reaches.values()) catalog.forget();
      void server?.sendToolListChanged().catch(() => undefined); // no stream is open
    },
    close,
  };
}

/** The SDK's server with our answers; also for a single request without a session. */
export function createServer(
  view: View,
  capabilities: ServerCapabilities = allCapabilities,
  instructions?: string,
): Server {
  const { scope } = view;
  const server = new Server(
    { name: "routeiq-mcp-gateway", version },
    {
      capabilities,
      ...(scope.single && instructions ? { instructions: judgeInstructions(instructions) } : {}),
    },
  );
  server.fallbackRequestHandler = async ({ method, params }, extra) => {
    const token = params?._meta?.progressToken;
    const asked: Asked = {
      id: extra.requestId,
      params: (params ?? {}) as JsonObject,
      signal: extra.signal,
      ...(token === undefined
        ? {}
        : {
            onProgress: (told) =>
              void extra
                .sendNotification({
                  method: "notifications/progress",
                  params: { ...told, progressToken: token } as never,
                })
                .catch(() => undefined), // the client left; its request is told
          }),
    };
    return (await answer(method, view, asked)) as never;
  };
  // The SDK's own would answer this one, and tell no server.
  server.removeRequestHandler("logging/setLevel");
  return server;
}

interface Message {
  readonly method: string;
  readonly params: JsonObject;
}

/** On the stream of the request that is under way, so that clients without another one hear it. */
const related = ({ pending }: Reach) => {
  const newest = pending.at(-1);
  return newest === undefined ? {} : { relatedRequestId: newest };
};

async function askClient(
  server: Server | undefined,
  reach: Reach,
  asked: Message & { readonly signal: AbortSignal; readonly maxMs: number },
): Promise<object> {
  const { method, params, signal, maxMs } = asked;
  if (!server || !clientMethods.has(method)) {
    throw rethrown(ErrorCode.MethodNotFound, "Method not found");
  }
  return await server.request({ method, params: { ...params } } as never, ResultSchema, {
    ...related(reach),
    signal,
    timeout: maxMs, // a human may answer it
  });
}

function tellClient(
  server: Server | undefined,
  view: View,
  reach: Reach,
  { method, params }: Message,
): void {
  for (const kind of changes[method] ?? []) reach.catalog.forget(kind);
  if (method === "notifications/message" && !isLoud(params["level"], view.level)) return;
  const { name } = reach.link.server;
  const logger = params["logger"];
  const isNamed = method === "notifications/message" && !view.scope.single;
  const shown = isNamed
    ? { ...params, logger: typeof logger === "string" ? `${name}/${logger}` : name }
    : params;
  void server
    ?.notification({ method, params: { ...shown } } as never, related(reach))
    .catch(() => undefined); // no stream is open, or the session has ended
}

export function capabilitiesOf(params: unknown): ClientCapabilities {
  const told = isObject(params) ? params["capabilities"] : undefined;
  return isObject(told) ? (told as ClientCapabilities) : {};
}
