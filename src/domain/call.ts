/** One request in flight, in no dialect: who calls, what for, until when. */
import type { Dial } from "./decision.ts";
import type { GatewayError } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { Mock, Operation, ParamRules } from "./model.ts";

export interface Caller {
  /** "master", "anonymous" (no master key, on loopback), or a key's id. */
  readonly id: string;
  readonly tenant: string;
  readonly admin: boolean;
  /** `server.tool` patterns that its access token opens of MCP; missing: all. */
  readonly mcpTools?: readonly string[];
  /** What its key sets of the dial; the call's own header fields come before it. */
  readonly dial?: Partial<Dial>;
}

/** What a caller may ask of the gateway itself, in LiteLLM's words; none of it goes upstream. */
export interface CallOptions {
  readonly numRetries?: number;
  readonly timeoutMs?: number;
  readonly streamTimeoutMs?: number;
  /** Groups to try when the requested one fails, before the configured ones. */
  readonly fallbacks?: readonly FallbackTarget[];
  readonly disableFallbacks?: boolean;
  /** Answered without a provider, or failing on purpose. */
  readonly mock?: Mock;
  /** The mock is of the first group alone: its fallbacks are real, with this many retries. */
  readonly mockedFirst?: { readonly numRetries: number | undefined };
  /** `allowed_model_region`: deployments elsewhere, or who knows where, are passed over. */
  readonly region?: string;
  /** A key and an address of the caller's own, where the row lets them in. */
  readonly ownAccess?: { readonly apiKey?: string; readonly apiBase?: string };
  /** `additional_drop_params`, `allowed_openai_params`. */
  readonly paramRules?: ParamRules;
  /** `router_settings_override`. */
  readonly router?: RouterOverride;
}

/** Where a failed call goes on. */
export interface FallbackTarget {
  readonly group: string;
  /** Fields of the body that differ there. */
  readonly params?: JsonObject;
}

/** A group, or `*` → what serves in its place: names, or objects with `model` and further fields. */
export type FallbackList = readonly Readonly<Record<string, readonly (string | JsonObject)[]>>[];

/** What of `router_settings` one call may set for itself; unset: the configuration's. */
export interface RouterOverride {
  readonly fallbacks?: FallbackList;
  readonly contextWindowFallbacks?: FallbackList;
  readonly contentPolicyFallbacks?: FallbackList;
  readonly defaultFallbacks?: readonly string[];
  readonly maxFallbacks?: number;
  readonly retryPolicy?: RetryPolicy;
  readonly modelGroupRetryPolicy?: Readonly<Record<string, RetryPolicy>>;
  /** A balancer's name. */
  readonly routingStrategy?: string;
}

/** LiteLLM's names of failures → attempts after the first. */
export type RetryPolicy = Readonly<Record<string, number>>;

/** A form on its way through: its files are sent on while they come. */
export interface Upload {
  readonly contentType: string;
  /** Its bytes for one attempt: whole where all of it is held, else as it comes, and then but once. */
  open(model: string, defaults: JsonObject): Uint8Array | AsyncIterable<Uint8Array>;
  /** It was begun and cannot be sent again. */
  readonly spent: boolean;
  /** Why it broke off: the caller's doing, and no provider's. */
  readonly failure: GatewayError | undefined;
}

/** An earlier answer that a call goes on from: it stays where that was made. */
export interface Pin {
  readonly responseId: string;
  readonly deployment: string;
  /** `litellm_params.model` of that deployment. */
  readonly candidate: string;
  /** The state is the provider's own: no other deployment knows it. */
  readonly only: boolean;
}

/** What a call reads of its request's header fields: of a `Headers` what it can afford to be. */
export type RequestHeaders = Pick<Headers, "get" | "has"> & {
  entries(): Iterable<readonly [name: string, value: string]>;
};

/** Tells when the caller hangs up; an AbortSignal, or what costs less. One listener at a time. */
export interface HangUp {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
}

export interface Call {
  /** Ours, a UUIDv7; the receipt's key. */
  readonly id: string;
  /** The caller's `x-request-id` where valid, else `id`. */
  readonly requestId: string;
  readonly operation: Operation;
  /** The wire format that the caller speaks. */
  readonly dialect:
    | "openai-chat"
    | "openai-responses"
    | "anthropic"
    | "gemini"
    | "openai-completions";
  readonly caller: Caller;
  readonly requestedModel: string;
  readonly stream: boolean;
  /** The body's text as it came (its bytes were valid UTF-8), and once parsed. */
  readonly text: string;
  readonly body: JsonObject;
  /** Where the body is a form; `text` is empty then, and `body` its fields. */
  readonly upload?: Upload;
  /** The body in our own form, for routing, where the caller's dialect has no `messages`. */
  readonly chat?: JsonObject;
  readonly headers: RequestHeaders;
  readonly signal: HangUp;
  readonly startedAtMs: number;
  readonly startedUs: number;
  /** Milliseconds since the epoch, from a deadline header. */
  readonly deadlineMs?: number;
  readonly dial?: Partial<Dial>;
  readonly sessionId?: string;
  /** The caller's header, where it is valid. */
  readonly traceparent?: string;
  readonly options: CallOptions;
  readonly pin?: Pin;
  /** What the answer repeats of the question and `body` no longer holds. */
  readonly echo?: JsonObject;
}
