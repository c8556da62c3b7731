/**
 * How an operation is written: 1.0 (alike in both bindings), 0.3 by JSON-RPC, 0.3 by HTTP+JSON. All
 * else that concerns A2A speaks 1.0 alone.
 */
import type { Json, JsonObject } from "../../domain/json.ts";
import {
  fromOlderMessage,
  fromOlderPush,
  newerPushConfig,
  toOlderEvent,
  toOlderPush,
  toOlderTask,
} from "./older.ts";
import {
  fromOlderRestConfiguration,
  fromOlderRestMessage,
  fromOlderRestPush,
  toOlderRestEvent,
  toOlderRestPush,
  toOlderRestTask,
} from "./older-rest.ts";
import { readId, requireId, type SendForm } from "./request.ts";
import {
  objectAt,
  type Task,
  type TaskEvent,
  toWireEvent,
  toWireTask,
  type Version,
} from "./wire.ts";

export interface Writing {
  readonly version: Version;
  readonly send: SendForm;
  event(event: TaskEvent): JsonObject;
  task(task: Task): JsonObject;
  /** The task that a notification's configuration is of. @throws A2aError invalidParams */
  taskId(params: JsonObject): string;
  configId(params: JsonObject): string | undefined;
  readPush(params: JsonObject): JsonObject;
  push(config: JsonObject): JsonObject;
  pushes(configs: readonly JsonObject[]): Json;
  /** To whoever deletes one. */
  readonly deleted: Json;
}

const newer: Writing = {
  version: "1.0",
  send: {
    roles: ["ROLE_USER", "ROLE_AGENT", 1, 2],
    toMessage: ({ role, ...given }) => ({
      ...given,
      role: role === 2 || role === "ROLE_AGENT" ? "ROLE_AGENT" : "ROLE_USER",
    }),
    toConfiguration: (given) => given,
  },
  event: toWireEvent,
  task: toWireTask,
  taskId: (params) => requireId(params, "taskId"),
  configId: (params) => readId(params, "id"),
  readPush: (params) => params,
  push: (config) => config,
  pushes: (configs) => ({ configs: [...configs], nextPageToken: "" }),
  deleted: {},
};

const withNewerPush = (given: JsonObject): JsonObject => {
  const push = objectAt(given, "pushNotificationConfig");
  return push ? { ...given, pushNotificationConfig: newerPushConfig(push) } : given;
};

const older: Writing = {
  version: "0.3",
  send: {
    roles: ["user", "agent"],
    toMessage: fromOlderMessage,
    toConfiguration: withNewerPush,
  },
  event: toOlderEvent,
  task: toOlderTask,
  // 0.3 calls the task `id` here, and the configuration by its whole name.
  taskId: (params) => readId(params, "taskId") ?? requireId(params, "id"),
  configId: (params) => readId(params, "pushNotificationConfigId"),
  readPush: fromOlderPush,
  push: toOlderPush,
  pushes: (configs) => configs.map(toOlderPush),
  deleted: null,
};

const olderRest: Writing = {
  version: "0.3",
  send: {
    roles: ["ROLE_USER", "ROLE_AGENT", "user", "agent", 1, 2],
    toMessage: fromOlderRestMessage,
    toConfiguration: (given) => withNewerPush(fromOlderRestConfiguration(given)),
  },
  event: toOlderRestEvent,
  task: toOlderRestTask,
  taskId: (params) => requireId(params, "taskId"),
  configId: (params) => readId(params, "id"),
  readPush: fromOlderRestPush,
  push: toOlderRestPush,
  pushes: (configs) => ({ configs: configs.map(toOlderRestPush) }),
  deleted: {},
};

export const toWriting = (version: Version, binding: "JSONRPC" | "HTTP+JSON"): Writing => {
  if (version === "1.0") return newer;
  return binding === "JSONRPC" ? older : olderRest;
};
