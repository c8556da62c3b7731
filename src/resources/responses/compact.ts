/**
 * A conversation made short. Providers that have the Responses API do it themselves; for all others
 * the model is asked for a summary, which comes back as an item that this gateway reads.
 * Source: https://platform.openai.com/docs/api-reference/responses/compact
 */
import { packSummary } from "../../dialects/openai-responses/reasoning.ts";
import { listOf, textOf } from "../../dialects/openai-responses/wire.ts";
import type { Call } from "../../domain/call.ts";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Deployment } from "../../domain/model.ts";
import { fail, open, run } from "../../pipeline/handle.ts";
import type { Arrival } from "../../pipeline/read-call.ts";
import { isWhole, type Reply } from "../../pipeline/reply.ts";
import type { Services } from "../../pipeline/services.ts";
import type { ResponseStore } from "../../storage/response-store.ts";
import { parseWhole } from "./keep.ts";
import { prepareTurn, type Turn } from "./turn.ts";

/** @throws CallFailed */
export async function compact(
  arrival: Arrival,
  services: Services,
  store: ResponseStore,
): Promise<Reply> {
  const call = await open(arrival, services);
  let turn: Turn;
  try {
    turn = await prepareTurn(call, store, services.config.routeiq.bodyLimitBytes);
    if (turn.call.body["input"] === undefined && !turn.call.pin) throw nothingToCompact();
  } catch (thrown) {
    throw fail(toGatewayError(thrown), arrival, undefined, services);
  }
  if (isNative(turn.call, services)) return run(turn.call, services);
  const reply = await run(toSummaryCall(turn.call), services);
  if (!isWhole(reply.body)) throw new Error("nobody asked for a stream");
  return { ...reply, body: JSON.stringify(toCompaction(parseWhole(reply.body), turn)) };
}

function nothingToCompact(): GatewayError {
  const message = "Send the conversation as 'input', or name its end with 'previous_response_id'.";
  return new GatewayError("invalid_request", message, { param: "input" });
}

/** Whether one of the model's providers does it itself. */
function isNative({ requestedModel, pin }: Call, { table, client }: Services): boolean {
  const able = (each: Deployment) => client.hasResponses(each) && client.serves(each, "compaction");
  const found = table.find(requestedModel, "compaction");
  // A name that is nobody's: the pipeline says so.
  return pin?.only === true || !found || found.deployments.some(able);
}

const request = [
  "Write a summary of the conversation above, for whoever goes on with it and has read nothing of it.",
  "Keep every fact, decision, name, number, file, error and open question that may still matter,",
  "what was asked for and how far it has come, and the user's own words where they bind.",
  "Leave out greetings and what led nowhere. Answer with the summary alone.",
].join(" ");

function toSummaryCall(call: Call): Call {
  const { model, input, instructions } = call.body;
  const items = typeof input === "string" ? [{ role: "user", content: input }] : listOf(input);
  const body: JsonObject = {
    model: model ?? call.requestedModel,
    input: [...items, { role: "user", content: request }],
    ...(typeof instructions === "string" ? { instructions } : {}),
    store: false,
  };
  return { ...call, operation: "responses", stream: false, body, text: JSON.stringify(body) };
}

function toCompaction(response: JsonObject, { call, id }: Turn): JsonObject {
  const text = listOf(response["output"])
    .filter(isObject)
    .flatMap((item) => listOf(item["content"]))
    .map((part) => (isObject(part) ? textOf(part["text"]) : ""))
    .join("");
  const item = {
    id: `cmp_${id.replace(/^resp_/, "")}`,
    type: "compaction",
    encrypted_content: packSummary(text),
  };
  return {
    id,
    object: "response.compaction",
    created_at: Math.floor(call.startedAtMs / 1000),
    output: [item],
    usage: response["usage"] ?? null,
  };
}
