/** How long each part of an attempt may take: LiteLLM's settings where set, else ours (DESIGN §9). */
import type { Config } from "../config/config.ts";
import type { Call } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import type { Cancel } from "../std/cancel.ts";
import type { Clock } from "../std/clock.ts";
import type { Expiring, ExpiryQueue } from "../std/expiry.ts";

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
  const first = deployment.firstTokenMs ?? config.router.firstTokenMs ?? stream;
  const idle = deployment.streamIdleMs ?? config.router.streamIdleMs ?? stream;
  if (first === undefined && idle === undefined) return timeouts;
  return {
    ...timeouts,
    firstTokenMs: first ?? timeouts.firstTokenMs,
    idleMs: idle ?? timeouts.idleMs,
  };
}

/**
 * The timers of one attempt, in the queue that all calls share: until the whole is due, and of a
 * stream the silence before its first token and between its events. One that rings stops the attempt.
 */
export class AttemptTimers implements Expiring {
  place = -1;
  dueMs: number;
  readonly #cancel: Cancel;
  readonly #timeouts: AttemptTimeouts;
  readonly #clock: Clock;
  readonly #queue: ExpiryQueue;
  readonly #stream: boolean;
  /** When the whole must be done, and whether that is the caller's deadline. */
  readonly #wholeMs: number;
  readonly #callersOwn: boolean;
  #token = false;

  constructor(call: Call, timeouts: AttemptTimeouts, cancel: Cancel, services: Timing) {
    const { clock, expiry } = services;
    const nowMs = clock.now();
    const ownMs = nowMs + timeouts.totalMs;
    const { deadlineMs = Number.POSITIVE_INFINITY, stream } = call;
    this.#cancel = cancel;
    this.#timeouts = timeouts;
    this.#clock = clock;
    this.#queue = expiry;
    this.#stream = stream;
    this.#callersOwn = deadlineMs < ownMs;
    this.#wholeMs = this.#callersOwn ? deadlineMs : ownMs;
    // While a file is still on its way no token can be due.
    const silenceMs = stream && !call.upload ? timeouts.firstTokenMs : Number.POSITIVE_INFINITY;
    this.dueMs = Math.min(this.#wholeMs, nowMs + silenceMs);
    expiry.add(this);
  }

  /** An event of the stream came; from the first token on, silence is measured between events. */
  heard(token: boolean): void {
    if (token) this.#token = true;
    if (!(this.#token && this.#stream)) return;
    const beforeMs = this.dueMs;
    this.dueMs = Math.min(this.#wholeMs, this.#clock.now() + this.#timeouts.idleMs);
    if (this.dueMs < beforeMs) this.#queue.sooner(this);
  }

  stop(): void {
    this.#queue.remove(this);
  }

  expire(): void {
    this.#cancel.cancel(this.#reason());
  }

  #reason(): GatewayError {
    const { totalMs, idleMs, firstTokenMs } = this.#timeouts;
    if (this.#clock.now() >= this.#wholeMs) {
      return this.#callersOwn ? deadlineExceeded() : tooSlow("answer", totalMs);
    }
    return this.#token ? tooSlow("event", idleMs) : tooSlow("token", firstTokenMs);
  }
}

export interface Timing {
  readonly clock: Clock;
  readonly expiry: ExpiryQueue;
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
