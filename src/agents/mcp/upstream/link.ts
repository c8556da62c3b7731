/**
 * The way to one server: connected when it is first needed, again after it broke off, and left alone
 * for a while after it failed, longer each time.
 */

import type { Caller } from "../../../domain/call.ts";
import type { JsonObject } from "../../../domain/json.ts";
import type { McpServer, McpSettings } from "../../../domain/mcp.ts";
import type { Outbound } from "../../../security/outbound.ts";
import type { Clock } from "../../../std/clock.ts";
import type { Telemetry } from "../../../telemetry/telemetry.ts";
import type { OauthFlow } from "../oauth/flow.ts";
import {
  type ClientCapabilities,
  ErrorCode,
  McpError,
  StreamableHTTPError,
  UnauthorizedError,
} from "../sdk.ts";
import type { InnerTools } from "../tools/inner-tools.ts";
import { connect } from "./connection.ts";
import type { Connection, RequestOptions } from "./connection-contract.ts";
import { reasonOf, unreachable } from "./link-error.ts";

export interface LinkParts {
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly settings: () => McpSettings;
  readonly oauth: OauthFlow;
  /** The gateway's own, by name. */
  readonly inner: (name: string) => InnerTools | undefined;
  /** Processes of each server, over all links. */
  readonly processes: Map<string, number>;
}

export interface LinkEars {
  /** Whose link it is; missing: it is shared. */
  readonly caller?: Caller;
  readonly capabilities: ClientCapabilities;
  /** Default: `session`. */
  readonly prefer?: Connection["era"];
  /** Whether somebody is told of changes as they come. Default: no. */
  readonly hears?: boolean;
  readonly onRequest: (method: string, params: JsonObject, signal: AbortSignal) => Promise<object>;
  readonly onNotification: (method: string, params: JsonObject) => void;
}

export type LinkRequest = Pick<
  RequestOptions,
  "signal" | "onProgress" | "onNotification" | "envelope"
>;

/** Of connecting: a server that starts by `npx` may have to fetch itself first. */
const connectMs = { http: 10_000, stdio: 60_000 } as const;
const backOffMs = { least: 500, most: 30_000 } as const;

export class Link {
  readonly server: McpServer;
  readonly #parts: LinkParts;
  readonly #ears: LinkEars;
  #connection: Promise<Connection> | undefined;
  /** Questions to the client that are under way. */
  #asking = 0;
  #failures = 0;
  #notBeforeMs = 0;
  /** How many grants there were when it failed. */
  #grantedThen = 0;
  /** Why it cannot be reached; undefined where it can, or nobody tried. */
  problem: string | undefined;
  /** Whether it failed for want of somebody's leave. */
  needsGrant = false;
  closed = false;

  constructor(server: McpServer, parts: LinkParts, ears: LinkEars) {
    this.server = server;
    this.#parts = parts;
    this.#ears = ears;
  }

  get isOpen(): boolean {
    return this.#connection !== undefined;
  }

  /** @throws McpError where it cannot be reached, at once while it is left alone */
  open(): Promise<Connection> {
    if (this.#connection) return this.#connection;
    const isNew = this.#parts.oauth.granted !== this.#grantedThen;
    const leftMs = isNew ? 0 : this.#notBeforeMs - this.#parts.clock.now();
    if (this.closed) return Promise.reject(unreachable(this.server, "the session has ended"));
    if (leftMs > 0) {
      const why = `${this.problem ?? "it failed"}; it is tried again in ${Math.ceil(leftMs / 1000)} s`;
      return Promise.reject(unreachable(this.server, why));
    }
    this.#connection = this.#connect();
    return this.#connection;
  }

  /**
   * A session that the server has forgotten (404) is begun anew, once: what was asked was not done.
   * @throws McpError
   */
  async request(method: string, params: JsonObject, how: LinkRequest): Promise<JsonObject> {
    const connection = await this.open();
    try {
      return await this.#ask(connection, method, params, how);
    } catch (thrown) {
      if (!(thrown instanceof StreamableHTTPError) || thrown.code !== 404) throw thrown;
      this.#forget(connection);
      return await this.#ask(await this.open(), method, params, how);
    }
  }

  async #ask(
    connection: Connection,
    method: string,
    params: JsonObject,
    how: LinkRequest,
  ): Promise<JsonObject> {
    const { maxCallMs } = this.#parts.settings();
    try {
      const limits = { timeoutMs: this.server.timeoutMs, maxMs: maxCallMs };
      const isAsking = () => this.#asking > 0;
      return await connection.request(method, params, { ...how, ...limits, isAsking });
    } catch (thrown) {
      if (connection.breach) throw unreachable(this.server, connection.breach);
      throw isCutOff(thrown) ? unreachable(this.server, cutOff) : thrown;
    }
  }

  /** Tells an open connection; one that is not there need not know. */
  async notify(method: string, params?: JsonObject): Promise<void> {
    if (this.#connection) await (await this.#connection).notify(method, params);
  }

  async close(): Promise<void> {
    this.closed = true;
    const open = this.#connection;
    this.#connection = undefined;
    if (!open) return;
    const connection = await open.catch(() => undefined); // it never came about
    await connection?.close().catch(() => undefined); // it is gone either way
  }

  #forget(connection: Connection): void {
    this.#connection = undefined;
    void connection.close().catch(() => undefined);
  }

  async #connect(): Promise<Connection> {
    const { outbound, clock, telemetry, settings, oauth } = this.#parts;
    const { server } = this;
    const isProcess = server.transport === "stdio";
    if (isProcess) this.#countProcess(1);
    let counted = isProcess;
    const leave = () => {
      this.#connection = undefined;
      if (counted) this.#countProcess(-1);
      counted = false;
    };
    try {
      const connection = await connect(server, {
        ...this.#ears,
        prefer: this.#ears.prefer ?? "session",
        hears: this.#ears.hears ?? false,
        onRequest: (method, params, signal) => this.#askClient(method, params, signal),
        inner: this.#parts.inner,
        authProvider: oauth.provider(server, this.#ears.caller),
        outbound,
        clock,
        maxBytes: settings().maxResultBytes,
        maxMs: settings().maxCallMs,
        connectTimeoutMs: connectMs[isProcess ? "stdio" : "http"],
        onStderr: (text) =>
          telemetry.log("debug", "an MCP server wrote", { server: server.name, text }),
        onClose: leave,
      });
      this.#failures = 0;
      this.problem = undefined;
      this.needsGrant = false;
      return connection;
    } catch (thrown) {
      leave();
      this.needsGrant = thrown instanceof UnauthorizedError;
      this.problem = problemOf(thrown, server);
      this.#failures++;
      this.#grantedThen = oauth.granted;
      const pauseMs = Math.min(backOffMs.most, backOffMs.least * 2 ** (this.#failures - 1));
      this.#notBeforeMs = clock.now() + pauseMs;
      telemetry.log("warn", "an MCP server cannot be reached", {
        server: server.name,
        error: this.problem,
      });
      throw unreachable(server, this.problem);
    }
  }

  async #askClient(method: string, params: JsonObject, signal: AbortSignal): Promise<object> {
    this.#asking++;
    try {
      return await this.#ears.onRequest(method, params, signal);
    } finally {
      this.#asking--;
    }
  }

  #countProcess(by: number): void {
    const { processes, settings } = this.#parts;
    const count = (processes.get(this.server.name) ?? 0) + by;
    if (by > 0 && count > settings().maxProcesses) {
      const why = `${settings().maxProcesses} processes of it run already (routeiq_settings.mcp.max_processes)`;
      throw unreachable(this.server, why);
    }
    processes.set(this.server.name, count);
  }
}

const cutOff =
  "it ended while it was asked, and whether it did what was asked is not known; the next call starts it again";

/** The SDK's word to whoever waits on a connection that closes. */
const isCutOff = (thrown: unknown) =>
  thrown instanceof McpError &&
  thrown.code === ErrorCode.ConnectionClosed &&
  thrown.message.endsWith("Connection closed");

function problemOf(thrown: unknown, { name }: McpServer): string {
  if (!(thrown instanceof UnauthorizedError)) return reasonOf(thrown);
  return `nobody has allowed the gateway to use it yet, or not enough: POST /v1/mcp/server/${name}/oauth/authorize`;
}
