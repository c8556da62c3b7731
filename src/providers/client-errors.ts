/** What a request that brought no answer is told as. */
import type { Call } from "../domain/call.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import type { Cancel } from "../std/cancel.ts";

export function noSuchOperation(
  deployment: Deployment,
  call: Pick<Call, "operation" | "requestedModel">,
): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `Model "${call.requestedModel}" is served by ${deployment.provider}, which has no ${call.operation} API here. Ask for a model that does.`,
    { param: "model" },
  );
}

/** What stopped an attempt, if anything did. */
export type Stop = Pick<Cancel, "reason">;

export const stopOf = (signal: AbortSignal): Stop => ({
  reason: signal.aborted ? toGatewayError(signal.reason) : undefined,
});

/** The reason of whoever stopped it; a broken connection otherwise. */
export function toUpstreamError(thrown: unknown, { reason }: Stop, to: Deployment): GatewayError {
  if (reason) return toGatewayError(reason);
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError(
    "upstream_unreachable",
    `The connection to ${to.provider} broke before an answer was complete.`,
    { cause: thrown },
  );
}
