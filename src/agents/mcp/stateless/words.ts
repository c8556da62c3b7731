/** Words of revision 2026-07-28 that both sides of the gateway use. */
import { isObject, type JsonObject } from "../../../domain/json.ts";

export const statelessVersion = "2026-07-28";
const prefix = "io.modelcontextprotocol/";
export const versionKey = `${prefix}protocolVersion`;
export const capabilitiesKey = `${prefix}clientCapabilities`;
export const clientKey = `${prefix}clientInfo`;
export const serverKey = `${prefix}serverInfo`;
export const logLevelKey = `${prefix}logLevel`;
export const subscriptionKey = `${prefix}subscriptionId`;
/** Of 2025-11-25, where a message belongs to a task. */
export const relatedTaskKey = `${prefix}related-task`;
export const tasksExtension = `${prefix}tasks`;

/** Codes that this revision alone has. */
export const statelessCodes = {
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
} as const;

/** Where a request's `Mcp-Name` comes from, of those that have one. */
export const namedBy: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);

/** What may be answered with a question. */
export const askable: ReadonlySet<string> = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

export const metaOf = ({ _meta }: JsonObject): JsonObject => (isObject(_meta) ? _meta : {});

/** Whether capabilities of either side have the extension of tasks. */
export function hasTasks({ extensions }: JsonObject): boolean {
  return isObject(extensions) && extensions[tasksExtension] !== undefined;
}

/** The capability that a request of a server's needs of its client; undefined: it is none of the protocol's. */
export function capabilityFor(method: string): "elicitation" | "sampling" | "roots" | undefined {
  if (method === "elicitation/create") return "elicitation";
  if (method === "sampling/createMessage") return "sampling";
  return method === "roots/list" ? "roots" : undefined;
}
