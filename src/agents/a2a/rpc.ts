/** JSON-RPC 2.0 as both revisions of A2A name its methods. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Agents, Asker } from "./agents-contract.ts";
import { A2aError } from "./errors.ts";
import { readLength, readList, readSend, requireId } from "./request.ts";
import type { TaskEvent, Version } from "./wire.ts";
import type { Writing } from "./writing.ts";

export type RpcId = string | number | null;

export interface RpcRequest {
  readonly id: RpcId;
  readonly method: string;
  readonly params: JsonObject;
}

export type RpcAnswer = { readonly result: Json } | { readonly events: AsyncIterable<JsonObject> };

/** Names of 1.0, each with that of 0.3 and what the predecessor calls it as well. */
const names: Readonly<Record<string, string>> = {
  "message/send": "SendMessage",
  "tasks/send": "SendMessage",
  "message/stream": "SendStreamingMessage",
  "tasks/sendSubscribe": "SendStreamingMessage",
  "tasks/get": "GetTask",
  "tasks/list": "ListTasks",
  "tasks/cancel": "CancelTask",
  "tasks/resubscribe": "SubscribeToTask",
  "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
  "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
  "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
  "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
  "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
  "agent/authenticatedExtendedCard": "GetExtendedAgentCard",
};

/** By the method's name where the header says nothing. @throws A2aError versionNotSupported */
export function versionOf(header: string | null, method: string): Version {
  const given = header?.split(",")[0]?.trim() ?? "";
  if (/^1\.0(\.\d+)?$/.test(given) || given === "1") return "1.0";
  if (/^0\.3(\.\d+)?$/.test(given)) return "0.3";
  if (given === "") return method.includes("/") ? "0.3" : "1.0";
  throw new A2aError(
    "versionNotSupported",
    `A2A ${given.slice(0, 20)} is not spoken here; 1.0 and 0.3 are.`,
  );
}

/** @throws A2aError invalidRequest, of what is no request */
export function readRpc(body: unknown): RpcRequest {
  if (!isObject(body))
    throw new A2aError("invalidRequest", "The body must be one JSON-RPC request.");
  const { jsonrpc, id, method, params } = body;
  if (jsonrpc !== "2.0") throw new A2aError("invalidRequest", "'jsonrpc' must be \"2.0\".");
  if (typeof method !== "string" || method === "")
    throw new A2aError("invalidRequest", "'method' must be a text.");
  if (id !== undefined && idOf(body) === null && id !== null) {
    throw new A2aError("invalidRequest", "'id' must be a text, a whole number or null.");
  }
  if (params !== undefined && !isObject(params))
    throw new A2aError("invalidParams", "'params' must be an object.");
  return { id: idOf(body), method, params: params ?? {} };
}

/** For an error's answer too, so far as it can be read. */
export function idOf(body: unknown): RpcId {
  const id = isObject(body) ? body["id"] : undefined;
  return typeof id === "string" || (typeof id === "number" && Number.isInteger(id)) ? id : null;
}

export interface RpcWorld {
  readonly agents: Agents;
  readonly writing: Writing;
  readonly extendedCard: () => Promise<JsonObject>;
}

/** @throws A2aError and what the agents throw */
export async function answerRpc(
  { method, params }: Pick<RpcRequest, "method" | "params">,
  asker: Asker,
  world: RpcWorld,
): Promise<RpcAnswer> {
  const { agents, writing } = world;
  const name = Object.hasOwn(names, method) ? names[method] : method;
  switch (name) {
    case "SendMessage": {
      const request = readSend(params, writing.send);
      return { result: writing.event(await agents.send(request, asker)) };
    }
    case "SendStreamingMessage": {
      const events = await agents.stream(readSend(params, writing.send), asker);
      return { events: mapped(events, writing) };
    }
    case "GetTask": {
      const length = readLength(params["historyLength"] ?? params["history_length"]);
      return { result: writing.task(await agents.get(requireId(params, "id"), length, asker)) };
    }
    case "ListTasks": {
      const { tasks, ...page } = await agents.list(readList(params, writing.version), asker);
      return { result: { ...page, tasks: tasks.map(writing.task) } };
    }
    case "CancelTask":
      return { result: writing.task(await agents.cancel(requireId(params, "id"), asker)) };
    case "SubscribeToTask": {
      const events = await agents.subscribe(requireId(params, "id"), asker);
      return { events: mapped(events, writing) };
    }
    case "GetExtendedAgentCard":
      return { result: await world.extendedCard() };
    default:
      return { result: await answerPush(name ?? method, params, asker, world) };
  }
}

async function answerPush(
  name: string,
  params: JsonObject,
  asker: Asker,
  { agents, writing }: RpcWorld,
): Promise<Json> {
  const { push, assertTask, setPush } = agents;
  switch (name) {
    case "CreateTaskPushNotificationConfig": {
      const config = await setPush(writing.taskId(params), writing.readPush(params), asker);
      return writing.push(config);
    }
    case "GetTaskPushNotificationConfig": {
      const taskId = writing.taskId(params);
      await assertTask(taskId, asker);
      return writing.push(await push.get(taskId, writing.configId(params)));
    }
    case "ListTaskPushNotificationConfigs": {
      const taskId = writing.taskId(params);
      await assertTask(taskId, asker);
      return writing.pushes(await push.list(taskId));
    }
    case "DeleteTaskPushNotificationConfig": {
      const taskId = writing.taskId(params);
      await assertTask(taskId, asker);
      const id = writing.configId(params);
      if (id === undefined)
        throw new A2aError("invalidParams", "The configuration's id is missing.");
      await push.remove(taskId, id);
      return writing.deleted;
    }
    default:
      throw new A2aError("methodNotFound", `There is no method '${name.slice(0, 60)}'.`);
  }
}

async function* mapped(
  events: AsyncIterable<TaskEvent>,
  { event: write }: Writing,
): AsyncGenerator<JsonObject> {
  for await (const event of events) yield write(event);
}
