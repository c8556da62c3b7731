/** What servers ask of a client, in the words of revision 2026-07-28: which of it may be asked, and in whose name. */
import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import { rethrown } from "../mcp-error.ts";
import type { Scope } from "../scope.ts";
import { ErrorCode, McpError } from "../sdk.ts";
import { lacks } from "./envelope.ts";
import { capabilityFor } from "./words.ts";

export const unasked = (what: string) =>
  rethrown(
    ErrorCode.InternalError,
    `The MCP server answered with ${what}, which this client did not declare it can take.`,
  );

const questionLimit = 32;
/** Of a server's state: what is made of it must come back in a request. */
export const stateChars = 64 * 1024;

/** A server may ask what its client said it can answer, and nothing else. @throws McpError */
export function assertAskable(requests: Json | undefined, capabilities: JsonObject): void {
  const asked = Object.values(isObject(requests) ? requests : {});
  if (asked.length > questionLimit) throw unasked(`${asked.length} questions`);
  for (const request of asked) {
    const method = isObject(request) ? String(request["method"]) : "";
    const needed = capabilityFor(method);
    if (needed === undefined || capabilities[needed] === undefined)
      throw unasked(`the question ${method.slice(0, 60)}`);
  }
}

/** Leave that must be given in a browser is a question of this revision, where it was an error. @throws */
export function toQuestion(thrown: unknown, capabilities: JsonObject): JsonObject {
  if (!(thrown instanceof McpError) || thrown.code !== ErrorCode.UrlElicitationRequired)
    throw thrown;
  const { elicitation } = capabilities;
  if (!isObject(elicitation) || elicitation["url"] === undefined)
    throw lacks({ elicitation: { url: {} } });
  const elicitations = isObject(thrown.data) ? thrown.data["elicitations"] : undefined;
  const asks = (Array.isArray(elicitations) ? elicitations : []).map((params, index) => [
    `allow_${index + 1}`,
    { method: "elicitation/create", params },
  ]);
  return {
    resultType: "input_required",
    inputRequests: Object.fromEntries(asks),
    requestState: "",
  };
}

/**
 * What a user is asked says which server asks, where the client sees many as one: it cannot tell
 * otherwise whom it would tell.
 */
export function inNameOf(
  { name }: Pick<McpServer, "name">,
  { single }: Pick<Scope, "single">,
  method: string,
  params: JsonObject,
): JsonObject {
  if (single || method !== "elicitation/create") return params;
  return { ...params, message: `[${name}] ${String(params["message"] ?? "")}` };
}

/** The same for all that a server asks at once. */
export function askedBy(server: McpServer, scope: Scope, requests: Json | undefined): JsonObject {
  if (!isObject(requests)) return {};
  const named = Object.entries(requests).map(([key, request]) => {
    const { method, params } = isObject(request) ? request : {};
    if (typeof method !== "string" || !isObject(params)) return [key, request];
    return [key, { method, params: inNameOf(server, scope, method, params) }];
  });
  return { inputRequests: Object.fromEntries(named) };
}
