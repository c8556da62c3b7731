/**
 * What can go wrong in A2A, with the codes of both bindings.
 * Source: https://a2a-protocol.org/v1.0.0/specification/ §5.4; the last two are the predecessor's.
 */
import { toGatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { CallFailed } from "../../pipeline/handle.ts";

interface ErrorKind {
  /** JSON-RPC's. */
  readonly code: number;
  /** Of the HTTP+JSON binding. */
  readonly status: number;
  /** google.rpc.Code's word for that. */
  readonly word: string;
  readonly reason: string;
}

export const a2aErrors = {
  parse: { code: -32700, status: 400, word: "INVALID_ARGUMENT", reason: "PARSE_ERROR" },
  invalidRequest: {
    code: -32600,
    status: 400,
    word: "INVALID_ARGUMENT",
    reason: "INVALID_REQUEST",
  },
  methodNotFound: { code: -32601, status: 404, word: "UNIMPLEMENTED", reason: "METHOD_NOT_FOUND" },
  invalidParams: { code: -32602, status: 400, word: "INVALID_ARGUMENT", reason: "INVALID_PARAMS" },
  internal: { code: -32603, status: 500, word: "INTERNAL", reason: "INTERNAL" },
  taskNotFound: { code: -32001, status: 404, word: "NOT_FOUND", reason: "TASK_NOT_FOUND" },
  taskNotCancelable: {
    ...{ code: -32002, status: 400, word: "FAILED_PRECONDITION" },
    reason: "TASK_NOT_CANCELABLE",
  },
  pushNotSupported: {
    ...{ code: -32003, status: 400, word: "FAILED_PRECONDITION" },
    reason: "PUSH_NOTIFICATION_NOT_SUPPORTED",
  },
  unsupportedOperation: {
    ...{ code: -32004, status: 400, word: "FAILED_PRECONDITION" },
    reason: "UNSUPPORTED_OPERATION",
  },
  contentTypeNotSupported: {
    ...{ code: -32005, status: 400, word: "INVALID_ARGUMENT" },
    reason: "CONTENT_TYPE_NOT_SUPPORTED",
  },
  invalidAgentResponse: {
    ...{ code: -32006, status: 500, word: "INTERNAL" },
    reason: "INVALID_AGENT_RESPONSE",
  },
  extendedCardNotConfigured: {
    ...{ code: -32007, status: 400, word: "FAILED_PRECONDITION" },
    reason: "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
  },
  extensionRequired: {
    ...{ code: -32008, status: 400, word: "FAILED_PRECONDITION" },
    reason: "EXTENSION_SUPPORT_REQUIRED",
  },
  versionNotSupported: {
    ...{ code: -32009, status: 400, word: "FAILED_PRECONDITION" },
    reason: "VERSION_NOT_SUPPORTED",
  },
  // The codes below mean other things between A2A's peers; here the HTTP status tells them apart.
  agentNotFound: { code: -32002, status: 404, word: "NOT_FOUND", reason: "AGENT_NOT_FOUND" },
  permissionDenied: {
    ...{ code: -32600, status: 403, word: "PERMISSION_DENIED" },
    reason: "PERMISSION_DENIED",
  },
  rateLimited: { code: -32003, status: 429, word: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED" },
} as const satisfies Record<string, ErrorKind>;

export type A2aErrorName = keyof typeof a2aErrors;

export class A2aError extends Error {
  readonly kind: A2aErrorName;
  /** An upstream agent's own code, where ours has none. */
  readonly code: number;
  readonly more: Readonly<Record<string, string>>;

  constructor(
    kind: A2aErrorName,
    message: string,
    more: Readonly<Record<string, string>> = {},
    options: ErrorOptions & { readonly code?: number } = {},
  ) {
    super(message, options);
    this.name = "A2aError";
    this.kind = kind;
    this.code = options.code ?? a2aErrors[kind].code;
    this.more = more;
  }

  get row(): ErrorKind {
    return a2aErrors[this.kind];
  }
}

/** The kind that a peer's code means. */
export function kindOfCode(code: number): A2aErrorName {
  const names = Object.keys(a2aErrors) as A2aErrorName[];
  return names.find((name) => a2aErrors[name].code === code) ?? "internal";
}

const kindsOfStatus: Readonly<Record<number, A2aErrorName>> = {
  415: "contentTypeNotSupported",
  429: "rateLimited",
};

/** Failures of the rest of the gateway in A2A's words; what they are called stands in the details. */
export function toA2aError(thrown: unknown): A2aError {
  if (thrown instanceof A2aError) return thrown;
  const error = thrown instanceof CallFailed ? thrown.error : toGatewayError(thrown);
  const bad = error.status === 400 || error.status === 413;
  const json = error.code === "invalid_json" || error.code === "invalid_utf8";
  const kind: A2aErrorName = json
    ? "parse"
    : error.code === "permission_denied"
      ? "permissionDenied"
      : (kindsOfStatus[error.status] ?? (bad ? "invalidParams" : "internal"));
  return new A2aError(kind, error.message, { error: error.code }, { cause: thrown });
}

export function detailsOf(error: A2aError): JsonObject {
  return {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    reason: error.row.reason,
    domain: "a2a-protocol.org",
    metadata: { ...error.more },
  };
}

/** JSON-RPC's `error`. */
export function toRpcError(error: A2aError): JsonObject {
  return { code: error.code, message: error.message, data: [detailsOf(error)] };
}

/** A body of the HTTP+JSON binding: google.rpc.Status. */
export function toRestError(error: A2aError): JsonObject {
  const { status, word } = error.row;
  return {
    error: { code: status, status: word, message: error.message, details: [detailsOf(error)] },
  };
}

/** The same of revision 0.3, which never settled on one: bare for the JS client, with a type for Python's. */
export function toOlderRestError(error: A2aError): JsonObject {
  const words = error.row.reason.toLowerCase().split("_");
  const type = words.map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`).join("");
  return {
    ...{ type: `${type}Error`, code: error.code, message: error.message },
    data: [detailsOf(error)],
  };
}
