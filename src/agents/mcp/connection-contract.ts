/** What a connection to a server gives, whatever it goes over, and what opening one takes. */
import type { Caller } from "../../domain/call.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import type { InnerTools } from "./inner-tools.ts";
import type { ClientCapabilities, OAuthClientProvider, ServerCapabilities } from "./sdk.ts";

export interface ConnectOptions {
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly authProvider: OAuthClientProvider | undefined;
  readonly inner: (name: string) => InnerTools | undefined;
  /** Whose it is; missing: it is shared. */
  readonly caller?: Caller;
  /** What the other end may ask of us: what our own caller can do. */
  readonly capabilities: ClientCapabilities;
  readonly maxBytes: number;
  readonly maxMs: number;
  readonly connectTimeoutMs: number;
  /** A line that a process wrote to its standard error. */
  readonly onStderr: (text: string) => void;
  readonly onRequest: (method: string, params: JsonObject, signal: AbortSignal) => Promise<object>;
  readonly onNotification: (method: string, params: JsonObject) => void;
  readonly onClose: () => void;
}

export interface RequestOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly maxMs: number;
  readonly onProgress?: (progress: JsonObject) => void;
}

export interface Connection {
  readonly capabilities: ServerCapabilities;
  readonly instructions: string | undefined;
  readonly serverInfo: { readonly name: string; readonly version: string };
  /** Why it was closed from our side; undefined while nothing was wrong with it. */
  readonly breach: string | undefined;
  request(method: string, params: JsonObject | undefined, how: RequestOptions): Promise<JsonObject>;
  notify(method: string, params?: JsonObject): Promise<void>;
  close(): Promise<void>;
}
