/** How a server of revision 2026-07-28 is asked, whatever carries it. */
import type { JsonObject } from "../../../domain/json.ts";
import type { Connection, RequestOptions } from "../upstream/connection-contract.ts";

export interface Peer {
  /** From which level on log lines are wanted; set by `logging/setLevel`. */
  logLevel: string | undefined;
  /** One request, one answer, as it comes. @throws McpError */
  once(method: string, params: JsonObject, how: RequestOptions): Promise<JsonObject>;
  /** Until there is a result: what is asked meanwhile goes to the client. @throws McpError */
  ask(method: string, params: JsonObject, how: RequestOptions): Promise<JsonObject>;
  /** The client's answers. @throws McpError */
  answersTo(requests: unknown, signal: AbortSignal): Promise<JsonObject>;
  readonly listen: NonNullable<Connection["listen"]>;
}

/** Without what only this revision says of a result. */
export function plain(result: JsonObject): JsonObject {
  const { resultType: _, cacheScope: __, ...rest } = result;
  return rest;
}
