/**
 * Which deployments of a name may answer a call: those that know what it goes on from, and, in the
 * Responses API, where it needs what only OpenAI runs, those that are OpenAI's.
 */
import type { Call, Pin } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { ProviderClient } from "../providers/client.ts";
import type { Resolution } from "../routing/resolve.ts";

export interface Narrowed {
  readonly resolution: Resolution;
  /** An earlier answer decided; nothing is left to rank. */
  readonly pinned?: true;
}

/** @throws GatewayError invalid_request where the state is a provider's that the name does not have. */
export function narrow(
  call: Call,
  resolution: Resolution,
  client: Pick<ProviderClient, "hasResponses">,
): Narrowed {
  if (call.pin) return stick(call.pin, resolution);
  if (call.operation !== "responses" && call.operation !== "compaction") return { resolution };
  const { deployments } = resolution;
  if (!needsOpenai(call.body)) return { resolution };
  const able = deployments.filter(client.hasResponses);
  return able.length > 0 ? { resolution: { ...resolution, deployments: able } } : { resolution };
}

function stick(pin: Pin, resolution: Resolution): Narrowed {
  const { deployments, group } = resolution;
  const same = pin.only
    ? deployments.filter(({ id }) => id === pin.deployment)
    : deployments.filter(({ candidate }) => candidate === pin.candidate);
  if (same.length > 0) return { resolution: { ...resolution, deployments: same }, pinned: true };
  // The conversation is in the body: a caller who names another model gets it.
  if (!pin.only) return { resolution };
  throw new GatewayError(
    "invalid_request",
    `The response '${pin.responseId}' was made by ${pin.candidate}, whose provider holds its state, and "${group.slice(0, 100)}" does not lead there. Ask for the model that made it, or send the conversation as 'input'.`,
    { param: "previous_response_id" },
  );
}

const carriedTools: ReadonlySet<unknown> = new Set(["function", "custom"]);

/** Whether a body asks for what only OpenAI's own service does: its tools, its state, its jobs. */
export function needsOpenai(body: JsonObject): boolean {
  const { tools, conversation, prompt, background } = body;
  if (isObject(prompt) || background === true) return true;
  if (conversation !== undefined && conversation !== null) return true;
  return (
    Array.isArray(tools) && tools.some((tool) => isObject(tool) && !carriedTools.has(tool["type"]))
  );
}
