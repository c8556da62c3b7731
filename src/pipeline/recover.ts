/** A call that came to no attempt: its group cannot serve it now, and its fallbacks may. */
import type { GatewayError } from "../domain/errors.ts";
import { fallBack } from "./attempt.ts";
import type { CallRecord } from "./record.ts";
import type { Reply } from "./reply.ts";
import type { Services } from "./services.ts";

/**
 * The reply of a fallback, where the choice itself failed: every deployment rests or is at its
 * limit, or the input is too long for all. Undefined where there is nothing to recover from.
 * @throws GatewayError the first failure, when the fallbacks have failed as well.
 */
export async function recover(
  failure: GatewayError,
  record: CallRecord | undefined,
  services: Services,
): Promise<Reply | undefined> {
  // A ranking means that the choice was made: what failed since has had its fallbacks.
  if (!record || record.ranking || failure.code === "model_not_found") return undefined;
  return fallBack(failure, record.call, record, services);
}
