/** Every failure a caller can meet: whose fault it is, and whether another attempt may help. */

export interface ErrorRow {
  /** HTTP status that the caller sees. */
  readonly status: number;
  readonly fault: "caller" | "operator" | "upstream" | "gateway";
  /** `elsewhere`: another deployment may do; `again`: the same one may, too; `never`: stop here. */
  readonly retry: "never" | "elsewhere" | "again";
  /** OpenAI's `error.type`. */
  readonly type: string;
}

const caller = { fault: "caller", retry: "never" } as const;
const upstream = { fault: "upstream" } as const;

export const errorTable = {
  invalid_request: { status: 400, type: "invalid_request_error", ...caller },
  invalid_json: { status: 400, type: "invalid_request_error", ...caller },
  invalid_utf8: { status: 400, type: "invalid_request_error", ...caller },
  model_not_found: { status: 404, type: "invalid_request_error", ...caller },
  not_found: { status: 404, type: "invalid_request_error", ...caller },
  method_not_allowed: { status: 405, type: "invalid_request_error", ...caller },
  missing_api_key: { status: 401, type: "authentication_error", ...caller },
  invalid_api_key: { status: 401, type: "authentication_error", ...caller },
  permission_denied: { status: 403, type: "permission_error", ...caller },
  body_too_large: { status: 413, type: "invalid_request_error", ...caller },
  unsupported_media_type: { status: 415, type: "invalid_request_error", ...caller },
  unsupported_capability: { status: 400, type: "invalid_request_error", ...caller },
  context_length_exceeded: { status: 400, type: "invalid_request_error", ...caller },
  content_policy_violation: { status: 400, type: "invalid_request_error", ...caller },
  caller_gone: { status: 499, type: "client_closed_request", ...caller },
  rate_limited: { status: 429, type: "rate_limit_error", ...upstream, retry: "elsewhere" },
  no_deployment: { status: 429, type: "rate_limit_error", fault: "operator", retry: "never" },
  overloaded: { status: 503, type: "overloaded_error", fault: "gateway", retry: "never" },
  draining: { status: 503, type: "overloaded_error", fault: "gateway", retry: "never" },
  /** A 4xx of the provider that says the request itself is wrong: another one would say so too. */
  upstream_rejected: { status: 400, type: "invalid_request_error", ...upstream, retry: "never" },
  upstream_not_found: { status: 404, type: "invalid_request_error", ...upstream, retry: "never" },
  /** The provider refused our key: that key is retired, the operator told, another one tried. */
  upstream_auth: { status: 502, type: "api_error", ...upstream, retry: "elsewhere" },
  upstream_conflict: { status: 409, type: "api_error", ...upstream, retry: "again" },
  upstream_failed: { status: 502, type: "api_error", ...upstream, retry: "again" },
  upstream_unreachable: { status: 502, type: "api_error", ...upstream, retry: "again" },
  upstream_invalid: { status: 502, type: "api_error", ...upstream, retry: "again" },
  upstream_timeout: { status: 504, type: "timeout_error", ...upstream, retry: "elsewhere" },
  deadline_exceeded: { status: 504, type: "timeout_error", fault: "caller", retry: "never" },
  stream_truncated: { status: 502, type: "api_error", ...upstream, retry: "never" },
  address_refused: { status: 400, type: "invalid_request_error", ...caller },
  config_invalid: { status: 400, type: "invalid_request_error", fault: "operator", retry: "never" },
  strategy_refused: {
    status: 400,
    type: "invalid_request_error",
    fault: "operator",
    retry: "never",
  },
  artifact_refused: {
    status: 400,
    type: "invalid_request_error",
    fault: "operator",
    retry: "never",
  },
  storage_failed: { status: 503, type: "api_error", fault: "gateway", retry: "never" },
  internal: { status: 500, type: "api_error", fault: "gateway", retry: "never" },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export interface GatewayErrorOptions extends ErrorOptions {
  /** The parameter at fault, as OpenAI's `error.param`: `messages[0].content`. */
  readonly param?: string;
  /** Overrides the table's status: a provider's own 4xx, say. */
  readonly status?: number;
  /** Seconds; becomes Retry-After. */
  readonly retryAfterS?: number;
  /** `error.code` for the caller where it differs from ours (a provider's own code word). */
  readonly wireCode?: string;
  readonly wireType?: string;
}

/**
 * A failure with a row in the table. The message is for the caller: what, where, how to mend it;
 * at most 200 characters of input in it, never a secret, never a stack. `cause` is for the log.
 */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly status: number;
  readonly retryAfterS: number | undefined;
  readonly wireCode: string;
  readonly wireType: string;

  constructor(code: ErrorCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options);
    this.name = "GatewayError";
    const row = errorTable[code];
    this.code = code;
    this.param = options.param;
    this.status = options.status ?? row.status;
    this.retryAfterS = options.retryAfterS;
    this.wireCode = options.wireCode ?? code;
    this.wireType = options.wireType ?? row.type;
  }

  get row(): ErrorRow {
    return errorTable[this.code];
  }
}

/** Anything thrown, as a GatewayError; what nobody foresaw is `internal`, its text kept for the log. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError("internal", "The gateway failed on this call; its log says why.", {
    cause: thrown,
  });
}

/** At most 200 characters of a caller's input, for a message. */
export function excerpt(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 197)}...`;
}
