/**
 * Whether a failed attempt is followed by another, where, and after what wait. The table of
 * `domain/errors.ts` says what a failure permits; this file, what a call may still spend.
 */
import type { Config } from "../config/config.ts";
import type { Call, RetryPolicy } from "../domain/call.ts";
import type { ErrorCode, GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import type { Ranking } from "../routing/ranking.ts";
import type { Random } from "../std/random.ts";

/** LiteLLM's `retry_policy`: retries by class of failure. */
const policyNames: Readonly<Partial<Record<ErrorCode, readonly string[]>>> = {
  upstream_rejected: ["BadRequestErrorRetries"],
  context_length_exceeded: ["BadRequestErrorRetries"],
  content_policy_violation: ["ContentPolicyViolationErrorRetries"],
  upstream_auth: ["AuthenticationErrorRetries"],
  upstream_not_found: ["NotFoundErrorRetries"],
  upstream_timeout: ["TimeoutErrorRetries"],
  rate_limited: ["RateLimitErrorRetries"],
  upstream_failed: ["InternalServerErrorRetries"],
  upstream_unreachable: ["InternalServerErrorRetries"],
  upstream_invalid: ["InternalServerErrorRetries"],
};

/** Attempts after the first: the call's own number, the deployment's, the policy's, the router's. */
export function retriesFor(
  error: GatewayError,
  call: Call,
  deployment: Deployment,
  config: Config,
): number {
  const own = call.options.numRetries ?? deployment.numRetries;
  if (own !== undefined) return own;
  const policy = policyFor(call, deployment, config);
  if (!policy) return config.router.numRetries;
  for (const name of namesOf(error)) {
    const retries = policy[name];
    if (retries !== undefined) return retries;
  }
  return policy["DefaultRetries"] ?? config.router.numRetries;
}

/** The group's policy above the general one, the call's own above the configuration's. */
export function policyFor(
  { options: { router: own } }: Call,
  { group }: Deployment,
  { router }: Config,
): RetryPolicy | undefined {
  const byGroup = own?.modelGroupRetryPolicy ?? router.modelGroupRetryPolicy;
  if (byGroup && Object.hasOwn(byGroup, group)) return byGroup[group];
  return own?.retryPolicy ?? router.retryPolicy;
}

function namesOf({ code, status }: GatewayError): readonly string[] {
  const names = policyNames[code] ?? [];
  return status === 503 ? ["ServiceUnavailableErrorRetries", ...names] : names;
}

const backoff = { baseMs: 500, maxMs: 8_000, believedRetryAfterS: 60 } as const;

/**
 * The wait before the same deployment is asked again: what it asked for, else full jitter.
 * Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
 */
export function waitMs(error: GatewayError, retry: number, config: Config, random: Random): number {
  const askedS = error.retryAfterS ?? 0;
  if (askedS > 0 && askedS <= backoff.believedRetryAfterS) {
    return askedS * 1000 + random.next() * 250; // jitter, so that callers do not return together
  }
  const ceiling = Math.min(backoff.maxMs, backoff.baseMs * 2 ** retry);
  return Math.max(config.router.retryAfterS * 1000, random.next() * ceiling);
}

/** Whether the deployment that just failed may be asked again by this call. */
export function mayAskAgain(error: GatewayError): boolean {
  if (error.row.retry === "again") return true;
  if (error.code !== "rate_limited") return false;
  return (error.retryAfterS ?? 0) <= backoff.believedRetryAfterS;
}

/**
 * Whether the group has deployments of a higher `order` that this call has not failed on: they are
 * asked whatever the retries of the lower ones, as LiteLLM does since `order` always counts.
 */
export function leadsOn(
  error: GatewayError,
  { order }: Deployment,
  { options }: Ranking,
  failed: ReadonlySet<string>,
): boolean {
  if (order === undefined || error.row.retry === "never") return false;
  const isLater = (each: Deployment) =>
    (each.order ?? Number.MAX_SAFE_INTEGER) > order && !failed.has(each.id);
  return options.some(({ deployments }) => deployments.some(isLater));
}
