/** A call's receipt, for whoever made the call. */
import type { Caller } from "../../domain/call.ts";
import type { Receipt } from "../../domain/decision.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { findReceipt } from "../../pipeline/receipts.ts";
import type { Services } from "../../pipeline/services.ts";
import { sleep } from "../../std/clock.ts";

/** Undefined where there is none, or it is another caller's: the two look the same from outside. */
export async function findOwnReceipt(
  callId: string,
  caller: Caller,
  services: Services,
): Promise<Receipt | undefined> {
  const receipt = await findReceipt(callId, services);
  return receipt && (caller.admin || receipt.caller === caller.id) ? receipt : undefined;
}

const settleStepMs = 10;
const settleSteps = 100;

/** A call that ended a moment ago is on its way to the event log: waits until it is there. */
export async function settleReceipt(callId: string, { receipts, clock }: Services): Promise<void> {
  for (let step = 0; step < settleSteps && receipts.find(callId); step++) {
    await sleep(clock, settleStepMs);
  }
}

export function unknownCall(callId: string): GatewayError {
  return new GatewayError(
    "not_found",
    `No call "${excerpt(callId)}" is known. The id is in an answer's x-routeiq-call-id header.`,
    { param: "call_id" },
  );
}
