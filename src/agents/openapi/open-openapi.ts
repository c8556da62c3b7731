/**
 * A server made of an OpenAPI document: each of its operations is a tool, and a call of it a request
 * of that API, through the guarded way out.
 */
import { isAbsolute, resolve } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { McpOpenapi, McpServer } from "../../domain/mcp.ts";
import type { Outbound, Trust } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import { parseJson } from "../../std/json.ts";
import { findMismatch } from "../../std/json-schema.ts";
import { createPause } from "../../std/pause.ts";
import type { InnerCall, InnerTools } from "../mcp/tools/inner-tools.ts";
import { readBounded } from "./read-bounded.ts";
import {
  documentLimits,
  isJsonType,
  type OpenapiDocument,
  type Operation,
  readOpenapiDocument,
} from "./read-document.ts";
import { type ApiRequest, toApiRequest } from "./to-request.ts";
import { toTool } from "./to-tool.ts";

export interface OpenapiParts {
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly maxBytes: number;
  readonly connectTimeoutMs: number;
  /** Of a tool's call, and of fetching the document. */
  readonly maxMs: number;
}

/** How long a document is believed before it is fetched again. */
const freshMs = 300_000;

interface Held {
  readonly document: OpenapiDocument;
  readonly tools: readonly JsonObject[];
  readonly byName: ReadonlyMap<
    string,
    { readonly operation: Operation; readonly tool: JsonObject }
  >;
  readonly base: string;
  readonly trust: Trust;
  readonly untilMs: number;
}

/** @throws Error that says why the document cannot be used */
export async function openOpenapi(
  server: McpServer,
  openapi: McpOpenapi,
  parts: OpenapiParts,
): Promise<InnerTools> {
  const { clock } = parts;
  let held = await load(server, openapi, parts);

  async function current(): Promise<Held> {
    if (held.untilMs > clock.now()) return held;
    // While it cannot be had, what was read before still holds.
    held = await load(server, openapi, parts).catch(() => ({
      ...held,
      untilMs: clock.now() + freshMs,
    }));
    return held;
  }

  const { title, description, leftOut } = held.document;
  const missing = leftOut > 0 ? `\n\n${leftOut} operations beyond the limit are left out.` : "";
  return {
    instructions: `${title}\n\n${description ?? ""}${missing}`.trim(),
    tools: async () => (await current()).tools,
    call: async (call) => await callOperation(await current(), call, { server, ...parts }),
  };
}

async function load(server: McpServer, openapi: McpOpenapi, parts: OpenapiParts): Promise<Held> {
  const document = readOpenapiDocument(await parse(await readSource(server, openapi, parts)));
  const tools: JsonObject[] = [];
  const byName = new Map<string, { readonly operation: Operation; readonly tool: JsonObject }>();
  const pause = createPause(parts.clock);
  for (const operation of document.operations) {
    const tool = toTool(operation, document);
    tools.push(tool);
    byName.set(operation.name, { operation, tool });
    await pause();
  }
  const where = baseOf(server, openapi, document);
  return { document, tools, byName, ...where, untilMs: parts.clock.now() + freshMs };
}

async function readSource(
  { trust, headers, url }: McpServer,
  { source, isFile }: McpOpenapi,
  { outbound, connectTimeoutMs, maxMs }: OpenapiParts,
): Promise<Uint8Array> {
  if (isFile) {
    const file = Bun.file(isAbsolute(source) ? source : resolve(source));
    if (!(await file.exists())) throw new Error(`there is no file ${source}`);
    if (file.size > documentLimits.bytes) throw new Error(tooLong);
    return await file.bytes();
  }
  const response = await outbound.fetch({
    url: source,
    method: "GET",
    // The credentials are the API's: a document that lies elsewhere is fetched without.
    headers: { accept: documentTypes, ...(isSameOrigin(url ?? source, source) ? headers : {}) },
    signal: AbortSignal.timeout(maxMs),
    trust,
    connectTimeoutMs,
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`its OpenAPI document was answered with ${response.status}`);
  }
  const bytes = await readBounded(response, documentLimits.bytes);
  if (!bytes) throw new Error(tooLong);
  return bytes;
}

const documentTypes = "application/json, application/yaml;q=0.9, */*;q=0.5";
const isSameOrigin = (one: string, other: string) => new URL(one).origin === new URL(other).origin;
const tooLong = `its OpenAPI document is over ${documentLimits.bytes} bytes`;

/** JSON, and else YAML, whose aliases are few: one that multiplies itself is refused. */
async function parse(bytes: Uint8Array): Promise<unknown> {
  try {
    return parseJson(bytes);
  } catch {
    const { parse: parseYaml } = await import("yaml");
    return parseYaml(new TextDecoder().decode(bytes), { maxAliasCount: aliasLimit });
  }
}

const aliasLimit = 100;

/** The row's `url` first; what the document says of itself is trusted no more than it is. */
function baseOf(
  { url, trust, headers }: McpServer,
  { source, isFile }: McpOpenapi,
  { base = "/" }: OpenapiDocument,
): Pick<Held, "base" | "trust"> {
  const bare = (address: string) => address.replace(/\/+$/, "");
  if (url !== undefined) return { base: bare(url), trust };
  const from = isFile ? undefined : source;
  if (!URL.canParse(base, from)) {
    throw new Error("its document does not say where it is served: write url beside it");
  }
  const found = new URL(base, from);
  const isOwn = isFile || isSameOrigin(found.href, source);
  if (!isOwn && Object.keys(headers).length > 0) {
    throw new Error(
      `its document says that it is served at ${found.origin}: credentials go there only once you write url beside it`,
    );
  }
  return { base: bare(found.href), trust: isOwn ? trust : "strict" };
}

/** @throws GatewayError invalid_request, upstream_unreachable, address_refused */
async function callOperation(
  { byName, base, trust, document }: Held,
  { tool, args, signal }: InnerCall,
  { server, outbound, connectTimeoutMs, maxBytes }: OpenapiParts & { readonly server: McpServer },
): Promise<JsonObject> {
  const found = byName.get(tool);
  if (!found) throw new GatewayError("not_found", `There is no tool "${tool.slice(0, 100)}".`);
  const mismatch = findMismatch(args, found.tool["inputSchema"]);
  if (mismatch) throw new GatewayError("invalid_request", `The arguments do not fit: ${mismatch}.`);
  const request = withKey(toApiRequest(found.operation, base, args), server, document);
  const response = await outbound.fetch({ ...request, signal, trust, connectTimeoutMs });
  if (response.status >= 300 && response.status < 400) {
    await response.body?.cancel();
    const text = `The API answered ${response.status}, a redirect, which is not followed.`;
    return { content: [{ type: "text", text }], isError: true };
  }
  return await toResult(response, maxBytes);
}

/** The operator's own fields come last: no document and no caller replaces them. */
function withKey(
  request: ApiRequest,
  server: McpServer,
  { keyPlace }: OpenapiDocument,
): ApiRequest {
  const headers = { ...request.headers };
  const own: Record<string, string> = { ...server.headers };
  const key = own["x-api-key"];
  let { url } = request;
  // `auth_type: api_key` goes where the document wants its key.
  if (server.authType === "api_key" && key !== undefined && keyPlace) {
    delete own["x-api-key"];
    const field = `${encodeURIComponent(keyPlace.name)}=${encodeURIComponent(key)}`;
    if (keyPlace.place === "header") own[keyPlace.name.toLowerCase()] = key;
    else if (keyPlace.place === "query") url += `${url.includes("?") ? "&" : "?"}${field}`;
    else own["cookie"] = headers["cookie"] === undefined ? field : `${headers["cookie"]}; ${field}`;
  }
  return { ...request, url, headers: { ...headers, ...own } };
}

/** JSON as text and structured, other texts as such, images as images, the rest by its size. */
async function toResult(response: Response, maxBytes: number): Promise<JsonObject> {
  const type = (response.headers.get("content-type") ?? "").toLowerCase();
  const bytes = await readBounded(response, maxBytes);
  if (!bytes) {
    const text = `The API's answer is over ${maxBytes} bytes (routeiq_settings.mcp.max_result_bytes). Ask for less.`;
    return { content: [{ type: "text", text }], isError: true };
  }
  const failed = !response.ok;
  const status = failed ? { isError: true } : {};
  if (type.startsWith("image/") && !failed) {
    const data = Buffer.from(bytes).toString("base64");
    return { content: [{ type: "image", data, mimeType: type.split(";")[0] ?? type }] };
  }
  if (bytes.length === 0) {
    return { content: [{ type: "text", text: `${response.status}, without a body.` }], ...status };
  }
  if (type !== "" && !isText(type)) {
    const text = `${response.status}: ${bytes.length} bytes of ${type}, which is no text.`;
    return { content: [{ type: "text", text }], ...status };
  }
  const text = new TextDecoder().decode(bytes);
  const content = [{ type: "text", text: failed ? `${response.status}: ${text}` : text }];
  const structured = failed || !isJsonType(type) ? undefined : objectIn(bytes);
  return { content, ...(structured ? { structuredContent: structured } : {}), ...status };
}

const isText = (type: string) =>
  type.startsWith("text/") || isJsonType(type) || /[/+](xml|yaml|javascript|x-ndjson)\b/.test(type);

function objectIn(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = parseJson(bytes);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // said to be JSON, and is none: it is told as the text that it is
  }
}
