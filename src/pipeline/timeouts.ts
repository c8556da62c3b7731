/** How long each part of an attempt may take: LiteLLM's settings where set, else ours (DESIGN §9). */
import type { Config } from "../config/config.ts";
import type { Call } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import type { Clock } from "../std/clock.ts";
import { createDeadline } from "../std/deadline.ts";

export interface AttemptTimeouts {
  readonly connectMs: number;
  /** Streams alone: until the first token, then between events. */
  readonly firstTokenMs: number;
  readonly idleMs: number;
  readonly totalMs: number;
}

/**
 * LiteLLM's order: the call's own, the deployment's, the router's, `request_timeout`. For a stream
 * its value bounds the wait for the next bytes, not the whole; for the rest, the whole attempt.
 */
export function timeoutsFor(call: Call, deployment: Deployment, config: Config): AttemptTimeouts {
  const { timeouts } = config.routeiq;
  const whole =
    call.options.timeoutMs ??
    deployment.timeoutMs ??
    config.router.timeoutMs ??
    config.litellm.requestTimeoutMs;
  if (!call.stream) {
    if (whole === undefined) return timeouts;
    return { ...timeouts, totalMs: whole };
  }
  const stream =
    call.options.streamTimeoutMs ??
    deployment.streamTimeoutMs ??
    config.router.streamTimeoutMs ??
    whole;
  if (stream === undefined) return timeouts;
  return { ...timeouts, firstTokenMs: stream, idleMs: stream };
}

/** The timers of one attempt. When one rings, `abort` is told with the reason. */
export interface AttemptTimers {
  /** An event of the stream came; from the first token on, silence is measured between events. */
  heard(token: boolean): void;
  stop(): void;
}

export function startTimers(
  call: Call,
  timeouts: AttemptTimeouts,
  clock: Clock,
  abort: (reason: GatewayError) => void,
): AttemptTimers {
  const leftMs = call.deadlineMs === undefined ? Infinity : call.deadlineMs - clock.now();
  const stopTotal =
    leftMs < timeouts.totalMs
      ? clock.after(Math.max(0, leftMs), () => abort(deadlineExceeded()))
      : clock.after(timeouts.totalMs, () => abort(tooSlow("answer", timeouts.totalMs)));
  if (!call.stream) return { heard: () => undefined, stop: stopTotal };

  let token = false;
  const silence = createDeadline(clock, () =>
    abort(token ? tooSlow("event", timeouts.idleMs) : tooSlow("token", timeouts.firstTokenMs)),
  );
  // While a file is still on its way no token can be due.
  silence.set(call.upload ? timeouts.totalMs : timeouts.firstTokenMs);
  return {
    heard(isToken) {
      token ||= isToken;
      if (token) silence.set(timeouts.idleMs);
    },
    stop() {
      stopTotal();
      silence.clear();
    },
  };
}

const waitedFor = {
  answer: "did not complete its answer",
  event: "fell silent in the middle of its answer for",
  token: "sent no token",
} as const;

function tooSlow(what: keyof typeof waitedFor, limitMs: number): GatewayError {
  const time = `${Number((limitMs / 1000).toFixed(1))} s`;
  const text =
    what === "event" ? `${waitedFor[what]} ${time}` : `${waitedFor[what]} within ${time}`;
  return new GatewayError("upstream_timeout", `The provider ${text}.`);
}

export function deadlineExceeded(): GatewayError {
  return new GatewayError(
    "deadline_exceeded",
    "The deadline that the request set passed before an answer was complete.",
  );
}
