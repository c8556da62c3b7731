/**
 * A call that the gateway makes by itself for somebody: an assistant's run, a line of a batch, the
 * vectors of a passage. Ranked, retried, billed and recorded like any other; its caller was let in before.
 */
import type { Call, Caller } from "../domain/call.ts";
import type { JsonObject } from "../domain/json.ts";
import { run } from "./handle.ts";
import { type Arrival, readCall } from "./read-call.ts";
import type { Reply } from "./reply.ts";
import type { Services } from "./services.ts";

export interface OwnCall extends Pick<Call, "operation" | "dialect"> {
  readonly caller: Caller;
  readonly body: JsonObject;
  readonly signal: AbortSignal;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws CallFailed; GatewayError where the body cannot be read */
export function runOwnCall(own: OwnCall, services: Services): Promise<Reply> {
  const { clock } = services;
  const id = Bun.randomUUIDv7();
  const bytes = new TextEncoder().encode(JSON.stringify(own.body));
  const arrival: Arrival = {
    id,
    requestId: id,
    operation: own.operation,
    dialect: own.dialect,
    headers: new Headers(own.headers),
    signal: own.signal,
    atMs: clock.now(),
    atUs: clock.monotonicUs(),
    bytes: () => bytes,
  };
  return run(readCall(arrival, own.caller, bytes, services.getDialect), services);
}
