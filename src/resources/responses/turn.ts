/**
 * A call of the Responses API with its state put in: what it goes on from, stored items it names.
 * Where the provider holds that state the body stays as it came and the call goes to that provider.
 */
import { responseIdOf, toResponseId } from "../../dialects/openai-responses/wire.ts";
import type { Call, Caller, Pin } from "../../domain/call.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import type { ResponseStore, StoredResponse } from "../../storage/response-store.ts";
import { referenceOf, toItems, toModel } from "./items.ts";

export interface Turn {
  /** As the pipeline gets it. */
  readonly call: Call;
  /** Of its response, where the gateway makes it. */
  readonly id: string;
  /** Its own input, and the response that it goes on from: what is stored with it. */
  readonly input: readonly JsonObject[];
  readonly previous?: string;
  /** The caller wants it kept. */
  readonly keep: boolean;
}

export const turnLimits = {
  /** Responses that one conversation may be made of. */
  chain: 1_000,
  /** Stored items that one request may name. */
  references: 1_000,
} as const;

/** @throws GatewayError invalid_request, storage_failed */
export async function prepareTurn(
  call: Call,
  store: ResponseStore,
  bodyLimitBytes: number,
): Promise<Turn> {
  const { body } = call;
  const id = toResponseId(call.id);
  const keep = body["store"] !== false;
  if (body["background"] === true && !keep) {
    throw invalid("background", "A background response is asked for later, so it needs 'store'.");
  }
  const previous = readPrevious(body["previous_response_id"]);
  const named = await resolve(body["input"], call.caller, store);
  const input = toItems(named.input, id);
  const last = previous === undefined ? undefined : await goOn(previous, call.caller, store);
  if (last && !last.transcript) return { call: { ...call, pin: last.pin }, id, input: [], keep };
  if (!last && !named.from) return { call, id, input, keep };
  const pin = last?.pin ?? (named.from && toPin(named.from, false));
  const whole = [...(last?.transcript ?? []), ...input].map(toModel);
  const turned = withInput(call, whole, previous, bodyLimitBytes);
  return {
    call: { ...turned, ...(pin ? { pin } : {}) },
    id,
    input,
    keep,
    ...(previous === undefined ? {} : { previous }),
  };
}

function withInput(
  call: Call,
  input: readonly JsonObject[],
  previous: string | undefined,
  limitBytes: number,
): Call {
  const { previous_response_id: _, ...rest } = call.body;
  const body = { ...rest, input };
  const text = JSON.stringify(body);
  if (text.length > limitBytes) {
    throw new GatewayError(
      "context_length_exceeded",
      `The conversation is longer than the limit of ${limitBytes} bytes. Begin a new one, or raise routeiq_settings.body_limit_bytes.`,
      { param: "previous_response_id" },
    );
  }
  const echo = previous === undefined ? {} : { echo: { previous_response_id: previous } };
  return { ...call, body, text, ...echo };
}

function readPrevious(sent: Json | undefined): string | undefined {
  if (sent === undefined || sent === null) return undefined;
  if (typeof sent === "string" && sent !== "") return sent;
  throw invalid("previous_response_id", "'previous_response_id' must be the id of a response.");
}

interface Last {
  readonly pin: Pin;
  /** All items before this turn; missing where the provider holds them. */
  readonly transcript?: readonly JsonObject[];
}

async function goOn(id: string, caller: Caller, store: ResponseStore): Promise<Last> {
  const chain = await store.chain(id, turnLimits.chain);
  const last = chain.at(-1);
  if (!last || !isOwn(last, caller)) throw notFound(id);
  if (!last.kept) return { pin: toPin(last, true) };
  const { status } = last.kept.response;
  if (status !== "completed" && status !== "incomplete") {
    const message = `The response '${excerpt(id)}' is ${String(status)}: only a finished one can be gone on from.`;
    throw invalid("previous_response_id", message);
  }
  const gap = chain[0]?.previous;
  if (gap !== undefined) {
    const message = `The conversation before '${excerpt(id)}' is not whole: '${excerpt(gap)}' was deleted, has expired, or lies more than ${turnLimits.chain} responses back.`;
    throw invalid("previous_response_id", message, "previous_response_not_found");
  }
  const transcript = chain.flatMap(({ kept }) => (kept ? [...kept.input, ...outputOf(kept)] : []));
  return { pin: toPin(last, false), transcript };
}

const outputOf = ({ response }: NonNullable<StoredResponse["kept"]>) =>
  response["output"] as readonly JsonObject[]; // written by our own encoder

function toPin({ id, deployment, candidate }: StoredResponse, only: boolean): Pin {
  return { responseId: id, deployment, candidate, only };
}

interface Resolved {
  readonly input: Json | undefined;
  /** The response that the last of the named items is from. */
  readonly from?: StoredResponse;
}

/** Puts stored items in the place of their names. Ids that are not ours are the provider's to know. */
async function resolve(
  input: Json | undefined,
  caller: Caller,
  store: ResponseStore,
): Promise<Resolved> {
  if (!Array.isArray(input)) return { input };
  const ids = input.map(referenceOf);
  const wanted = new Set(ids.flatMap((id) => (id && responseIdOf(id)) ?? []));
  if (wanted.size === 0) return { input };
  if (wanted.size > turnLimits.references) {
    throw invalid("input", `'input' names items of more than ${turnLimits.references} responses.`);
  }
  const rows = new Map<string, StoredResponse>();
  for (const id of wanted) {
    const row = await store.find(id);
    if (row && isOwn(row, caller)) rows.set(id, row);
  }
  let from: StoredResponse | undefined;
  const found = input.map((item, i): Json => {
    const id = ids[i];
    const owner = id && responseIdOf(id);
    if (!id || !owner) return item;
    const row = rows.get(owner);
    const items = row?.kept ? [...row.kept.input, ...outputOf(row.kept)] : [];
    const named = items.find((each) => each["id"] === id);
    if (!named || !row) throw invalid(`input[${i}]`, `Item with id '${excerpt(id)}' not found.`);
    from = row;
    return named;
  });
  return { input: found, ...(from ? { from } : {}) };
}

export function isOwn({ caller }: StoredResponse, { id, admin }: Caller): boolean {
  return admin || caller === id;
}

function notFound(id: string): GatewayError {
  const message = `Previous response with id '${excerpt(id)}' not found.`;
  return invalid("previous_response_id", message, "previous_response_not_found");
}

function invalid(param: string, message: string, wireCode?: string): GatewayError {
  return new GatewayError("invalid_request", message, {
    param,
    ...(wireCode === undefined ? {} : { wireCode }),
  });
}
