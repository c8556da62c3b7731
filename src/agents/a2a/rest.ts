/** The HTTP+JSON binding: the same operations by paths; those of 0.3 begin with `v1/`. */
import type { JsonObject } from "../../domain/json.ts";
import type { Asker } from "./agents-contract.ts";
import { A2aError } from "./errors.ts";
import { answerRpc, type RpcAnswer, type RpcWorld } from "./rpc.ts";
import type { Version } from "./wire.ts";

export interface RestRequest {
  readonly method: string;
  /** Below the agent's address, without a slash at its begin. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: JsonObject;
}

/** Pattern, methods, what it means; its groups are the parameters' names. */
const table: readonly (readonly [RegExp, string, string])[] = [
  [/^message:send$/, "POST", "SendMessage"],
  [/^message:stream$/, "POST", "SendStreamingMessage"],
  [/^tasks$/, "GET", "ListTasks"],
  [/^tasks\/(?<id>[^/:]+)$/, "GET", "GetTask"],
  [/^tasks\/(?<id>[^/:]+):cancel$/, "POST", "CancelTask"],
  [/^tasks\/(?<id>[^/:]+):subscribe$/, "GET POST", "SubscribeToTask"],
  [
    /^tasks\/(?<taskId>[^/:]+)\/pushNotificationConfigs$/,
    "POST",
    "CreateTaskPushNotificationConfig",
  ],
  [/^tasks\/(?<taskId>[^/:]+)\/pushNotificationConfigs$/, "GET", "ListTaskPushNotificationConfigs"],
  [
    /^tasks\/(?<taskId>[^/:]+)\/pushNotificationConfigs\/(?<id>[^/]+)$/,
    "GET",
    "GetTaskPushNotificationConfig",
  ],
  [
    /^tasks\/(?<taskId>[^/:]+)\/pushNotificationConfigs\/(?<id>[^/]+)$/,
    "DELETE",
    "DeleteTaskPushNotificationConfig",
  ],
  [/^(extendedAgentCard|card)$/, "GET", "GetExtendedAgentCard"],
];

const older = /^v1\//;

/** Where nothing names the revision. */
export const versionOfPath = (path: string): Version => (older.test(path) ? "0.3" : "1.0");

/** @throws A2aError; `v1/` before the path is taken as well */
export async function answerRest(
  asked: RestRequest,
  asker: Asker,
  world: RpcWorld,
): Promise<RpcAnswer> {
  const path = asked.path.replace(older, "");
  for (const [pattern, methods, method] of table) {
    const found = pattern.exec(path);
    if (!found || !methods.split(" ").includes(asked.method)) continue;
    const params: JsonObject = { ...asked.query, ...asked.body, ...found.groups };
    return answerRpc({ method, params }, asker, world);
  }
  throw new A2aError(
    "methodNotFound",
    `There is nothing of A2A at ${asked.method} ${path.slice(0, 100)}.`,
  );
}
