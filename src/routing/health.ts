/**
 * The health of one deployment: when failures take it out of rotation, for how long, and how it
 * comes back. Rules and defaults are LiteLLM's (`cooldown_handlers.py`), with its known gap closed:
 * a deployment that only ever fails is ejected after `consecutiveFailures`, whatever the traffic.
 */
import type { ErrorCode, GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";

export interface HealthRules {
  readonly cooldownTimeS: number;
  readonly disableCooldowns: boolean;
  /** Set: counts failures within a cooldown time instead of watching the rate. */
  readonly allowedFails?: number;
  readonly allowedFailsPolicy?: Readonly<Record<string, number>>;
}

export const healthLimits = {
  /** More than this share of failures ejects, from `minimumRequests` a minute on. */
  failureShare: 0.5,
  minimumRequests: 5,
  consecutiveFailures: 5,
  /** After a return, the share of its normal traffic grows from `slowStartFloor` to 1 in this time. */
  slowStartMs: 10_000,
  slowStartFloor: 0.1,
  /** A refused key is probed ever more rarely: cooldown × 2ⁿ up to this. */
  retiredKeyMaxMs: 600_000,
  /** A provider's Retry-After beyond this is not believed. */
  retryAfterMaxS: 300,
} as const;

/** Mutable; owned by `pool.ts`. */
export interface Health {
  ejectedUntilMs: number;
  /** Out of rotation, or back on probation until a probe succeeds. */
  ejected: boolean;
  probing: boolean;
  recoveredAtMs: number;
  consecutiveFailures: number;
  keyRefusals: number;
  /** Failures within the window that began at `windowStartMs` (count-based rule). */
  windowFailures: number;
  windowStartMs: number;
  minute: number;
  minuteRequests: number;
  minuteFailures: number;
  minuteTokens: number;
}

export function createHealth(): Health {
  return {
    ejectedUntilMs: 0,
    ejected: false,
    probing: false,
    recoveredAtMs: Number.NEGATIVE_INFINITY,
    consecutiveFailures: 0,
    keyRefusals: 0,
    windowFailures: 0,
    windowStartMs: 0,
    minute: 0,
    minuteRequests: 0,
    minuteFailures: 0,
    minuteTokens: 0,
  };
}

export type Availability = "available" | "probe" | "ejected";

export function availability(health: Health, nowMs: number): Availability {
  if (!health.ejected) return "available";
  if (nowMs < health.ejectedUntilMs || health.probing) return "ejected";
  return "probe";
}

/** Share of its normal traffic that a deployment gets, in (0, 1]. */
export function slowStartShare(health: Health, nowMs: number): number {
  const sinceMs = nowMs - health.recoveredAtMs;
  if (sinceMs >= healthLimits.slowStartMs) return 1;
  return Math.max(healthLimits.slowStartFloor, sinceMs / healthLimits.slowStartMs);
}

/** Failures that say something of the deployment, by LiteLLM's statuses 401, 404, 408, 429, ≥ 500. */
const telling: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "rate_limited",
  "upstream_auth",
  "upstream_not_found",
  "upstream_timeout",
  "upstream_failed",
  "upstream_unreachable",
  "upstream_invalid",
  "stream_truncated",
]);

const policyNames: Readonly<Partial<Record<ErrorCode, readonly string[]>>> = {
  rate_limited: ["RateLimitErrorAllowedFails"],
  upstream_auth: ["AuthenticationErrorAllowedFails"],
  upstream_not_found: ["NotFoundErrorAllowedFails"],
  upstream_timeout: ["TimeoutErrorAllowedFails"],
  upstream_failed: ["InternalServerErrorAllowedFails"],
  upstream_unreachable: ["InternalServerErrorAllowedFails"],
  upstream_invalid: ["InternalServerErrorAllowedFails"],
  stream_truncated: ["InternalServerErrorAllowedFails"],
};

/** Where a status has a class of its own. */
const statusNames: Readonly<Record<number, string>> = {
  502: "BadGatewayErrorAllowedFails",
  503: "ServiceUnavailableErrorAllowedFails",
};

export function tells(error: GatewayError): boolean {
  return telling.has(error.code);
}

/** Whether this failure, already counted into `health`, takes the deployment out of rotation. */
export function shouldEject(
  health: Health,
  error: GatewayError,
  rules: HealthRules,
  siblings: number,
): boolean {
  if (health.ejected) return true; // the probe failed
  const allowed = allowedFails(error, rules);
  if (allowed !== undefined) return health.windowFailures > allowed;
  if (error.code === "upstream_auth" || error.code === "upstream_not_found") return true;
  if (error.code === "rate_limited" && siblings > 0) return true;
  if (health.consecutiveFailures >= healthLimits.consecutiveFailures) return true;
  return (
    health.minuteRequests >= healthLimits.minimumRequests &&
    health.minuteFailures > health.minuteRequests * healthLimits.failureShare
  );
}

function allowedFails(error: GatewayError, rules: HealthRules): number | undefined {
  const names = policyNames[error.code] ?? [];
  const special = statusNames[error.status];
  for (const name of special ? [special, ...names] : names) {
    const allowed = rules.allowedFailsPolicy?.[name];
    if (allowed !== undefined) return allowed;
  }
  return rules.allowedFails;
}

/** How long it rests, ms; 0: it does not. */
export function ejectionMs(
  health: Health,
  deployment: Deployment,
  error: GatewayError,
  rules: HealthRules,
): number {
  if (rules.disableCooldowns || deployment.cooldownS === 0) return 0;
  const believed =
    error.retryAfterS !== undefined && error.retryAfterS <= healthLimits.retryAfterMaxS
      ? error.retryAfterS
      : undefined;
  const baseMs = (deployment.cooldownS ?? believed ?? rules.cooldownTimeS) * 1000;
  if (error.code !== "upstream_auth") return baseMs;
  return Math.min(healthLimits.retiredKeyMaxMs, baseMs * 2 ** Math.max(0, health.keyRefusals - 1));
}
