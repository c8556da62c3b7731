/** One connection to a server: over Streamable HTTP, SSE or the standard input of a process. */

import type { Caller } from "../../../domain/call.ts";
import { GatewayError } from "../../../domain/errors.ts";
import type { JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import { version } from "../../../std/version.ts";
import { openOpenapi } from "../../openapi/open-openapi.ts";
import {
  Client,
  type FetchLike,
  ResultSchema,
  SSEClientTransport,
  StdioClientTransport,
  StreamableHTTPClientTransport,
  StreamableHTTPError,
  type Transport,
  UnauthorizedError,
} from "../sdk.ts";
import { createHttpCarrier, openProcessCarrier } from "../stateless/carriers.ts";
import { isStatelessOnly, openStateless } from "../stateless/connection.ts";
import { toConnection } from "../tools/inner-server.ts";
import type { Connection, ConnectOptions } from "./connection-contract.ts";
import { createGuardedFetch } from "./guarded-fetch.ts";
import { watchSilence } from "./silence.ts";

/** @throws what the transport throws; McpError where the handshake fails */
export async function connect(server: McpServer, options: ConnectOptions): Promise<Connection> {
  if (server.transport === "inner") return openInner(server, options);
  if (server.transport === "stdio") return await connectProcess(server, options);
  if (server.transport !== "http") return open(server, server.transport, options);
  if (options.prefer === "stateless") {
    const found = await probe(server, options);
    if (found) return found;
  }
  try {
    return await open(server, "http", options);
  } catch (thrown) {
    if (isStatelessOnly(thrown)) return await openWithoutSession(server, options);
    // A server of before 2025-03-26 knows no POST at this address.
    const older = thrown instanceof StreamableHTTPError && [404, 405].includes(thrown.code ?? 0);
    if (!older || server.transportIsGiven) throw thrown;
    return await open(server, "sse", options);
  }
}

function openWithoutSession(server: McpServer, options: ConnectOptions): Promise<Connection> {
  let breach: string | undefined;
  const fetch = guardedFetch(server, { ...options, onBreach: (why) => (breach ??= why) });
  const carrier = createHttpCarrier(server, { ...options, fetch });
  return openStateless(server, { ...options, carrier, breach: () => breach });
}

/** How long a server that may be older is given to say that it knows of no discovery. */
const probeMs = 3_000;

/** Undefined where the server is of a revision before 2026-07-28. @throws UnauthorizedError */
async function probe(server: McpServer, options: ConnectOptions): Promise<Connection | undefined> {
  const connectTimeoutMs = Math.min(probeMs, options.connectTimeoutMs);
  try {
    return await openWithoutSession(server, { ...options, connectTimeoutMs });
  } catch (thrown) {
    if (thrown instanceof UnauthorizedError || thrown instanceof GatewayError) throw thrown;
    return undefined; // whatever it said, the older handshake says what is wrong
  }
}

/** One that refuses the handshake for its revision is started again, and spoken to in that. */
async function connectProcess(server: McpServer, options: ConnectOptions): Promise<Connection> {
  try {
    return await open(server, "stdio", options);
  } catch (thrown) {
    if (!isStatelessOnly(thrown)) throw thrown;
    const transport = createProcess(server, { ...options, onBreach: () => undefined });
    const carrier = await openProcessCarrier(transport, options.onClose);
    try {
      return await openStateless(server, { ...options, carrier, breach: () => undefined });
    } catch (failed) {
      await carrier.close();
      throw failed;
    }
  }
}

async function openInner(server: McpServer, options: ConnectOptions): Promise<Connection> {
  const { inner, clock, caller = nobody } = options;
  const tools = server.openapi
    ? await openOpenapi(server, server.openapi, options)
    : inner(server.name);
  if (!tools) throw new Error("it is no longer there");
  return toConnection(server.name, tools, { caller, clock });
}

/** Who asks over a link that is shared: those who may see such a server at all. */
const nobody: Caller = { id: "", tenant: "default", admin: false };

async function open(
  server: McpServer,
  kind: McpServer["transport"],
  options: ConnectOptions,
): Promise<Connection> {
  let breach: string | undefined;
  const client = new Client({ name: "routeiq", version }, { capabilities: options.capabilities });
  const onBreach = (why: string) => {
    breach ??= why;
    void client.close().catch(() => undefined); // it may be closing already
  };
  const transport = createTransport(server, kind, { ...options, onBreach });
  client.fallbackRequestHandler = (request, { signal }) =>
    options.onRequest(request.method, (request.params ?? {}) as JsonObject, signal);
  client.fallbackNotificationHandler = async ({ method, params }) =>
    options.onNotification(method, (params ?? {}) as JsonObject);
  try {
    await client.connect(transport, { timeout: options.connectTimeoutMs });
  } catch (thrown) {
    await client.close().catch(() => undefined);
    throw thrown;
  }
  // Not before: an attempt that failed may be followed by one over another transport.
  client.onclose = options.onClose;
  return {
    era: "session",
    capabilities: client.getServerCapabilities() ?? {},
    instructions: client.getInstructions(),
    serverInfo: client.getServerVersion() ?? { name: server.name, version: "" },
    get breach() {
      return breach;
    },
    async request(method, params, how) {
      const { maxMs, onProgress } = how;
      const request = { method, ...(params ? { params } : {}) };
      const silence = watchSilence(how, options.clock);
      const onprogress = (told: object) => {
        silence.heard();
        onProgress?.({ ...told });
      };
      try {
        return (await client.request(request, ResultSchema, {
          signal: silence.signal,
          timeout: maxMs,
          maxTotalTimeout: maxMs,
          ...(onProgress ? { onprogress } : {}),
        })) as JsonObject;
      } finally {
        silence.stop();
      }
    },
    notify: (method, params) => client.notification({ method, ...(params ? { params } : {}) }),
    close: () => closeKindly(client, transport),
  };
}

type TransportOptions = ConnectOptions & { readonly onBreach: (why: string) => void };

function createTransport(
  server: McpServer,
  kind: McpServer["transport"],
  options: TransportOptions,
): Transport {
  if (kind === "stdio") return createProcess(server, options);
  const url = new URL(server.url ?? "");
  const fetch = guardedFetch(server, options);
  const { authProvider } = options;
  const common = { fetch, ...(authProvider ? { authProvider } : {}) };
  if (kind === "sse") return new SSEClientTransport(url, common);
  // Its optional members are not exact; what it is given is.
  return new StreamableHTTPClientTransport(url, common) as Transport;
}

function guardedFetch(server: McpServer, options: TransportOptions): FetchLike {
  const { trust, headers, url = "" } = server;
  return createGuardedFetch({ ...options, trust, headers, origin: new URL(url).origin });
}

/** No shell, no environment but what is written and the few names of any program's. */
function createProcess(server: McpServer, { maxBytes, onStderr }: TransportOptions): Transport {
  const transport = new StdioClientTransport({
    command: server.command ?? "",
    args: [...server.args],
    env: { ...server.env },
    stderr: "pipe",
    maxBufferSize: maxBytes,
    ...(server.cwd === undefined ? {} : { cwd: server.cwd }),
  });
  transport.stderr?.on("data", (piece: Uint8Array) =>
    onStderr(new TextDecoder().decode(piece.subarray(0, stderrBytes))),
  );
  return transport;
}

const stderrBytes = 2_000;

/** A session of HTTP is ended at the server as well; one that will not hear of it is left. */
async function closeKindly(client: Client, transport: Transport): Promise<void> {
  if (transport instanceof StreamableHTTPClientTransport) {
    await transport.terminateSession().catch(() => undefined);
  }
  await client.close();
}
