/** What a connection to a server gives, whatever it goes over, and what opening one takes. */
import type { Caller } from "../../../domain/call.ts";
import type { JsonObject } from "../../../domain/json.ts";
import type { Outbound } from "../../../security/outbound.ts";
import type { Clock } from "../../../std/clock.ts";
import type { ClientCapabilities, OAuthClientProvider, ServerCapabilities } from "../sdk.ts";
import type { InnerTools } from "../tools/inner-tools.ts";

export interface ConnectOptions {
  /** Which revision is tried first where a server may have both. */
  readonly prefer: Connection["era"];
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
  /** Whether changes are to be told of: by servers that are asked to, as 2026-07-28 has it. */
  readonly hears: boolean;
  /** A line that a process wrote to its standard error. */
  readonly onStderr: (text: string) => void;
  readonly onRequest: (method: string, params: JsonObject, signal: AbortSignal) => Promise<object>;
  readonly onNotification: (method: string, params: JsonObject) => void;
  readonly onClose: () => void;
}

/** What a caller of revision 2026-07-28 said with his request. */
export interface Envelope {
  readonly capabilities: JsonObject;
  /** From which level on he wants to hear log lines; missing: none. */
  readonly logLevel?: string;
}

export interface RequestOptions {
  readonly signal: AbortSignal;
  /** Silence of the server's for so long fails; while it waits for its client it is not silent. */
  readonly timeoutMs: number;
  readonly maxMs: number;
  /** Whether the client is being asked something. Default: never. */
  readonly isAsking?: () => boolean;
  readonly onProgress?: (progress: JsonObject) => void;
  /** What else a server says to this request. Default: it goes where all goes that it says. */
  readonly onNotification?: (method: string, params: JsonObject) => void;
  /**
   * In the words of this caller, and the result as it comes: with a question to him in it, or a task.
   * To a server with sessions it means nothing.
   */
  readonly envelope?: Envelope;
}

export interface ListenOptions {
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly onNotification: (method: string, params: JsonObject) => void;
  /** The stream broke off. */
  readonly onEnd: () => void;
}

export interface Connection {
  /** Whether it is of a revision with sessions, or says all of itself in every request. */
  readonly era: "session" | "stateless";
  readonly capabilities: ServerCapabilities;
  readonly instructions: string | undefined;
  readonly serverInfo: { readonly name: string; readonly version: string };
  /** Why it was closed from our side; undefined while nothing was wrong with it. */
  readonly breach: string | undefined;
  request(method: string, params: JsonObject | undefined, how: RequestOptions): Promise<JsonObject>;
  notify(method: string, params?: JsonObject): Promise<void>;
  /**
   * Stateless alone: a stream of changes, as `subscriptions/listen` filters them. Resolves to what of
   * the filter the server agreed to. @throws McpError
   */
  listen?(filter: JsonObject, options: ListenOptions): Promise<JsonObject>;
  close(): Promise<void>;
}
