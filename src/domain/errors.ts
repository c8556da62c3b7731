/** Every failure a caller can meet: whose fault it is, and whether another attempt may help. */

export interface ErrorRow {
  /** HTTP status that the caller sees. */
  readonly status: number;
  readonly fault: "caller" | "operator" | "upstream" | "gateway";
  /** `elsewhere`: another deployment may do; `again`: the same one may, too; `never`: stop here. */
  readonly retry: "never" | "elsewhere" | "again";
  /** OpenAI's `error.type`. */
  readonly type: string;
  /** For docs/errors.md. */
  readonly means: string;
}

const caller = { fault: "caller", retry: "never" } as const;
const upstream = { fault: "upstream" } as const;

export const errorTable = {
  invalid_request: {
    means:
      "The request has a field that is missing, of the wrong type or out of range; `param` names it.",
    status: 400,
    type: "invalid_request_error",
    ...caller,
  },
  invalid_json: {
    means: "The body is not valid JSON.",
    status: 400,
    type: "invalid_request_error",
    ...caller,
  },
  invalid_utf8: {
    means: "The body is not valid UTF-8.",
    status: 400,
    type: "invalid_request_error",
    ...caller,
  },
  model_not_found: {
    means: "No model of that name is configured. `GET /v1/models` lists those that are.",
    status: 404,
    type: "invalid_request_error",
    ...caller,
  },
  not_found: {
    means: "There is nothing at this path, or nothing of this id.",
    status: 404,
    type: "invalid_request_error",
    ...caller,
  },
  method_not_allowed: {
    means: "The path exists and takes another method; `Allow` names it.",
    status: 405,
    type: "invalid_request_error",
    ...caller,
  },
  missing_api_key: {
    means: "No key came with the request.",
    status: 401,
    type: "authentication_error",
    ...caller,
  },
  invalid_api_key: {
    means: "The key is not one of this gateway's.",
    status: 401,
    type: "authentication_error",
    ...caller,
  },
  permission_denied: {
    means: "The key may not do this.",
    status: 403,
    type: "permission_error",
    ...caller,
  },
  body_too_large: {
    means: "The body is over the limit (`routeiq_settings.body_limit_bytes`).",
    status: 413,
    type: "invalid_request_error",
    ...caller,
  },
  request_timeout: {
    means: "The request's body did not come in time (`routeiq_settings.timeouts.receive_ms`).",
    status: 408,
    type: "invalid_request_error",
    ...caller,
  },
  unsupported_media_type: {
    means: "The body is not `application/json`, or is compressed.",
    status: 415,
    type: "invalid_request_error",
    ...caller,
  },
  unsupported_capability: {
    means: "The request needs something that no candidate can do, such as tools or images.",
    status: 400,
    type: "invalid_request_error",
    ...caller,
  },
  context_length_exceeded: {
    means: "The input is too long for every candidate.",
    status: 400,
    type: "invalid_request_error",
    ...caller,
  },
  content_policy_violation: {
    means: "The provider refused the content.",
    status: 400,
    type: "invalid_request_error",
    ...caller,
  },
  idempotency_key_reused: {
    means: "The `Idempotency-Key` was used with another request: a new request needs a new key.",
    status: 422,
    type: "invalid_request_error",
    ...caller,
  },
  idempotency_conflict: {
    means: "A request with this `Idempotency-Key` is under way, and its reply cannot be shared.",
    status: 409,
    type: "invalid_request_error",
    ...caller,
  },
  caller_gone: {
    means: "The caller hung up. Only logs and receipts show it.",
    status: 499,
    type: "client_closed_request",
    ...caller,
  },
  superseded: {
    means: "Another attempt of the same call answered first. Only receipts show it.",
    status: 499,
    type: "api_error",
    fault: "gateway",
    retry: "never",
  },
  rate_limited: {
    means: "The provider says that its limit is reached. Retry-After tells when to come back.",
    status: 429,
    type: "rate_limit_error",
    ...upstream,
    retry: "elsewhere",
  },
  no_deployment: {
    means: "Every deployment of the model is resting after failures, or at its limit.",
    status: 429,
    type: "rate_limit_error",
    fault: "operator",
    retry: "never",
  },
  overloaded: {
    means: "The gateway takes no more calls at this moment.",
    status: 503,
    type: "overloaded_error",
    fault: "gateway",
    retry: "never",
  },
  skill_failed: {
    means: "A skill's program failed, took too long, or answered too much; the message says which.",
    status: 422,
    type: "invalid_request_error",
    ...caller,
  },
  skill_runtime_missing: {
    means: "A skill needs a runtime that is not installed here; the message says how to add it.",
    status: 501,
    type: "api_error",
    fault: "operator",
    retry: "never",
  },
  hosted_tool_limit: {
    means:
      "The tools that the gateway runs for a request reached a limit of `routeiq_settings.hosted_tools`; the message says which.",
    status: 422,
    type: "invalid_request_error",
    ...caller,
  },
  draining: {
    means: "The gateway is shutting down.",
    status: 503,
    type: "overloaded_error",
    fault: "gateway",
    retry: "never",
  },
  /** A 4xx of the provider that says the request itself is wrong: another one would say so too. */
  upstream_rejected: {
    means: "The provider says that the request itself is wrong.",
    status: 400,
    type: "invalid_request_error",
    ...upstream,
    retry: "never",
  },
  upstream_not_found: {
    means: "The provider does not know the model or the path.",
    status: 404,
    type: "invalid_request_error",
    ...upstream,
    retry: "never",
  },
  /** The provider refused our key: that key is retired, the operator told, another one tried. */
  upstream_auth: {
    means: "The provider refused the key that is configured for the deployment.",
    status: 502,
    type: "api_error",
    ...upstream,
    retry: "elsewhere",
  },
  upstream_conflict: {
    means: "The provider answered 409.",
    status: 409,
    type: "api_error",
    ...upstream,
    retry: "again",
  },
  upstream_failed: {
    means: "The provider failed. Its own status, from 500 to 599, is kept; 529 becomes 503.",
    status: 502,
    type: "api_error",
    ...upstream,
    retry: "again",
  },
  upstream_unreachable: {
    means: "No connection to the provider came about, or it broke before an answer.",
    status: 502,
    type: "api_error",
    ...upstream,
    retry: "again",
  },
  upstream_invalid: {
    means: "The provider's answer is not of its dialect.",
    status: 502,
    type: "api_error",
    ...upstream,
    retry: "again",
  },
  upstream_timeout: {
    means:
      "The provider did not connect, or did not answer, in time. 408, as in LiteLLM; 504 where the provider said so.",
    status: 408,
    type: "timeout_error",
    ...upstream,
    retry: "elsewhere",
  },
  deadline_exceeded: {
    means: "The caller's own deadline passed.",
    status: 504,
    type: "timeout_error",
    fault: "caller",
    retry: "never",
  },
  stream_truncated: {
    means: "The provider's stream ended without a finish reason.",
    status: 502,
    type: "api_error",
    ...upstream,
    retry: "never",
  },
  address_refused: {
    means:
      "The address may not be called: private, loopback or a metadata service, and not opened by configuration.",
    status: 400,
    type: "invalid_request_error",
    ...caller,
  },
  config_invalid: {
    means: "The configuration is refused; the message has file, line and remedy.",
    status: 400,
    type: "invalid_request_error",
    fault: "operator",
    retry: "never",
  },
  strategy_refused: {
    means: "A routing strategy is unknown, or cannot work as configured.",
    status: 400,
    type: "invalid_request_error",
    fault: "operator",
    retry: "never",
  },
  artifact_refused: {
    means: "A trained router is refused; the message says which check it failed.",
    status: 400,
    type: "invalid_request_error",
    fault: "operator",
    retry: "never",
  },
  storage_failed: {
    means: "A store (disk, database, bucket) failed.",
    status: 503,
    type: "api_error",
    fault: "gateway",
    retry: "never",
  },
  sealed_unreadable: {
    means:
      "Credentials that were registered by API were encrypted with another key than the one in force.",
    status: 500,
    type: "api_error",
    fault: "operator",
    retry: "never",
  },
  internal: {
    means: "A fault of the gateway's own. Its log has the cause.",
    status: 500,
    type: "api_error",
    fault: "gateway",
    retry: "never",
  },
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
