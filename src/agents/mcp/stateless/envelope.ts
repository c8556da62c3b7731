/**
 * What a request of revision 2026-07-28 says of itself, in its `_meta` and again in headers, and how it
 * is refused where the two do not agree.
 * Source: https://modelcontextprotocol.io/specification/2026-07-28/basic
 */
import { isObject, type JsonObject } from "../../../domain/json.ts";
import { plainMessage } from "../mcp-error.ts";
import { ErrorCode, McpError } from "../sdk.ts";
import type { Envelope } from "../upstream/connection-contract.ts";
import type { View } from "../view.ts";
import { decoded, paramAt, paramHeadersOf } from "./headers.ts";
import {
  capabilitiesKey,
  hasTasks,
  logLevelKey,
  metaOf,
  namedBy,
  statelessCodes,
  statelessVersion,
  tasksExtension,
  versionKey,
} from "./words.ts";

/** What of the protocol's methods this revision still has. */
const methods: ReadonlySet<string> = new Set([
  ...namedBy.keys(),
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "completion/complete",
  "subscriptions/listen",
]);

export interface Message {
  readonly id: string | number | undefined;
  readonly method: string;
  readonly params: JsonObject;
}

/** Whether a posted message is of this revision or one after it; older ones begin with `initialize`. */
export function isStateless(request: Request, body: unknown): boolean {
  const message = messageIn(body);
  if (!message) return false;
  if (typeof metaOf(message.params)[versionKey] === "string") return true;
  const named = request.headers.get("mcp-protocol-version")?.trim() ?? "";
  return /^\d{4}-\d\d-\d\d$/.test(named) && named >= statelessVersion;
}

export function messageIn(body: unknown): Message | undefined {
  if (!isObject(body) || body["jsonrpc"] !== "2.0" || typeof body["method"] !== "string")
    return undefined;
  const { id, method } = body;
  const isId = typeof id === "string" || typeof id === "number";
  const params = isObject(body["params"]) ? body["params"] : {};
  return { id: isId ? id : undefined, method, params };
}

/** A failure before anything was done: its status says so as well. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: number;
  readonly data: JsonObject | undefined;

  constructor(code: number, message: string, more: { status?: number; data?: JsonObject } = {}) {
    super(message);
    this.code = code;
    this.status = more.status ?? 400;
    this.data = more.data;
  }
}

export function lacks(required: JsonObject): Refusal {
  const names = Object.keys(required).map((name) =>
    name === "extensions" ? Object.keys(required[name] as JsonObject).join() : name,
  );
  const message = `Missing required client capability: ${names.join(", ")}.`;
  const data = { requiredCapabilities: required };
  return new Refusal(statelessCodes.missingCapability, message, { data });
}

/** What the caller can do and wants to hear. @throws Refusal, in the order of the specification */
export function readEnvelope({ headers }: Request, { method, params }: Message): Envelope {
  const meta = metaOf(params);
  const claimed = meta[versionKey];
  const header = (name: string) => headers.get(name)?.trim();
  if (typeof claimed !== "string") {
    throw new Refusal(ErrorCode.InvalidParams, `_meta["${versionKey}"] is missing.`);
  }
  const named = header("mcp-protocol-version");
  if (named !== claimed) throw mismatch("MCP-Protocol-Version", claimed, named);
  if (claimed !== statelessVersion) {
    const message = `Unsupported protocol version ${claimed.slice(0, 40)}.`;
    const data = { supported: [statelessVersion], requested: claimed };
    throw new Refusal(statelessCodes.unsupportedVersion, message, { data });
  }
  const capabilities = meta[capabilitiesKey];
  if (!isObject(capabilities)) {
    throw new Refusal(ErrorCode.InvalidParams, `_meta["${capabilitiesKey}"] is missing.`);
  }
  if (header("mcp-method") !== method) throw mismatch("Mcp-Method", method, header("mcp-method"));
  if (!methods.has(method)) {
    throw new Refusal(ErrorCode.MethodNotFound, "Method not found", { status: 404 });
  }
  assertName(params, namedBy.get(method), header("mcp-name"));
  if (method.startsWith("tasks/") && !hasTasks(capabilities))
    throw lacks({ extensions: { [tasksExtension]: {} } });
  const logLevel = meta[logLevelKey];
  return { capabilities, ...(typeof logLevel === "string" ? { logLevel } : {}) };
}

function assertName(params: JsonObject, field: string | undefined, given: string | undefined) {
  if (field === undefined) return;
  const wanted = String(params[field] ?? "");
  if (given === undefined || decoded(given) !== wanted) throw mismatch("Mcp-Name", wanted, given);
}

function mismatch(name: string, wanted: string, given: string | undefined): Refusal {
  const message =
    given === undefined
      ? `The header ${name} is missing.`
      : `The header ${name} does not say what the body says (${wanted.slice(0, 80)}).`;
  return new Refusal(statelessCodes.headerMismatch, message);
}

/** Arguments that a tool wants in headers as well (`x-mcp-header`) must be the same there. @throws Refusal */
export async function assertParamHeaders(
  request: Request,
  { method, params }: Message,
  view: View,
): Promise<void> {
  if (method !== "tools/call") return;
  const schema = await schemaOf(view, String(params["name"] ?? ""), request.signal);
  for (const { path, field } of paramHeadersOf(schema) ?? []) {
    const wanted = paramAt(params["arguments"], path);
    const given = request.headers.get(`mcp-param-${field}`)?.trim();
    if (wanted === undefined && given === undefined) continue;
    if (wanted === undefined) throw mismatch(`Mcp-Param-${field}`, "nothing", given);
    if (given === undefined || !isSame(decoded(given), wanted))
      throw mismatch(`Mcp-Param-${field}`, wanted, given);
  }
}

/** Numbers are the same however they are written. */
const isSame = (given: string | undefined, wanted: string) =>
  given === wanted ||
  (given !== undefined && given !== "" && wanted !== "" && Number(given) === Number(wanted));

async function schemaOf(view: View, name: string, signal: AbortSignal) {
  const { servers, single } = view.scope;
  for (const server of servers) {
    const bare = single
      ? name
      : name.startsWith(`${server.name}.`)
        ? name.slice(server.name.length + 1)
        : undefined;
    if (bare === undefined) continue;
    // A server that is away is told of by the call itself.
    const tools = await view.tools(server, signal).catch(() => []);
    return tools.find((tool) => tool["name"] === bare)?.["inputSchema"];
  }
  return undefined;
}

/** @throws what is no word of the protocol's */
export function errorOf(thrown: unknown): { readonly status: number; readonly error: JsonObject } {
  if (thrown instanceof Refusal) {
    const { status, code, message, data } = thrown;
    return { status, error: { code, message, ...(data ? { data } : {}) } };
  }
  if (!(thrown instanceof McpError)) throw thrown;
  const code = codeFor(thrown.code);
  const { data } = thrown as { data?: JsonObject };
  const error = {
    code,
    message: plainMessage(thrown.message),
    ...(data === undefined ? {} : { data }),
  };
  return { status: code === statelessCodes.missingCapability ? 400 : 200, error };
}

/** This revision knows no code of its own for a resource that is not there. */
const resourceNotFound = -32002;

/** A server's error as the gateway's: what speaks of headers and revisions is between the two of them. */
function codeFor(code: number): number {
  if (code === resourceNotFound) return ErrorCode.InvalidParams;
  const { headerMismatch, unsupportedVersion } = statelessCodes;
  const isOurs = [headerMismatch, unsupportedVersion, ErrorCode.UrlElicitationRequired];
  return isOurs.includes(code) ? ErrorCode.InternalError : code;
}

export function refused(id: Message["id"], thrown: unknown): Response {
  const { status, error } = errorOf(thrown);
  return Response.json({ jsonrpc: "2.0", id: id ?? null, error }, { status });
}
