/**
 * How many calls a deployment may have in flight, learnt from how long it takes to begin its answers.
 * While they begin as fast as when it is not busy, the limit grows; when they begin slower than
 * `tolerance` allows, it shrinks in proportion; failures that tell of overload shrink it as well.
 * After the gradient limits of Netflix's concurrency-limits (Gradient2) and Envoy's adaptive
 * concurrency filter, with two differences: time to first token grows with the prompt, so samples are
 * compared within classes of equal size; and nothing is slowed down to measure the unloaded time.
 */
import type { GatewayError } from "../domain/errors.ts";
import type { Clock } from "../std/clock.ts";

export interface AdaptiveLimitRules {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  /** How many times slower than unbusy is still well, > 1. */
  readonly tolerance: number;
}

/** What a sample is compared with: others of its kind and of about its size. */
export interface SampleClass {
  /** A stream's first token, or a whole reply. */
  readonly stream: boolean;
  /** Tokens that decide how long it takes: a stream's input, a whole reply's output. */
  readonly tokens: number;
}

export interface AdaptiveLimit {
  /** Calls at once; a whole number of at least `min`. */
  readonly limit: number;
  /** An answer began, or came whole, after so many seconds; `inFlight` with it. */
  sample(seconds: number, of: SampleClass, inFlight: number): void;
  /** An attempt failed; counts where the failure tells of overload. */
  failed(error: GatewayError, inFlight: number): void;
}

/** A window closes after this time and so many samples, or after `longestWindowMs` with any. */
const windowMs = 1_000;
const windowSamples = 10;
const longestWindowMs = 10_000;
/** How far the limit moves towards its target in one window. */
const smoothing = 0.3;
const steepest = 0.5;
const growth = 0.5;
const baselineStep = 0.2;
/** Under load slowness is not believed to be normal, but for this slow drift: twice in ten minutes. */
const driftPerMs = Math.LN2 / 600_000;
const sizeClasses = 8;

export function createAdaptiveLimit(rules: AdaptiveLimitRules, clock: Clock): AdaptiveLimit {
  let exact = clamp(rules.initial, rules);
  // Per class: the logarithm of the unbusy time, and this window's sum and count.
  const baseline = new Float64Array(2 * sizeClasses).fill(Number.NaN);
  const sums = new Float64Array(2 * sizeClasses);
  const counts = new Uint32Array(2 * sizeClasses);
  let samples = 0;
  let failures = 0;
  let peak = 0;
  let startedAtMs = clock.now();

  function closeWhenDue(): void {
    const nowMs = clock.now();
    const elapsedMs = nowMs - startedAtMs;
    if (elapsedMs < windowMs) return;
    if (samples + failures < windowSamples && elapsedMs < longestWindowMs) return;
    const busy = peak >= exact / 2;
    const slowness = learn(busy, elapsedMs);
    exact = clamp(next(busy, slowness), rules);
    sums.fill(0);
    counts.fill(0);
    samples = 0;
    failures = 0;
    peak = 0;
    startedAtMs = nowMs;
  }

  /** Mean of log(time ÷ unbusy time) over the window's samples; moves the unbusy times. */
  function learn(busy: boolean, elapsedMs: number): number {
    let total = 0;
    for (let i = 0; i < counts.length; i++) {
      const count = counts[i] ?? 0;
      if (count === 0) continue;
      const mean = (sums[i] ?? 0) / count;
      const before = baseline[i] ?? Number.NaN;
      if (Number.isNaN(before)) {
        baseline[i] = mean;
        continue;
      }
      total += count * (mean - before);
      baseline[i] =
        busy && mean > before
          ? Math.min(mean, before + driftPerMs * elapsedMs)
          : before + baselineStep * (mean - before);
    }
    return samples === 0 ? 0 : total / samples;
  }

  function next(busy: boolean, slowness: number): number {
    const share = failures / (samples + failures);
    if (share > 0) {
      // Told to stop: at once, and from where it was, not from a limit that was never reached.
      return Math.min(exact, Math.max(2 * peak, rules.min)) * (1 - share / 2);
    }
    if (!busy) return exact;
    const gradient = Math.max(steepest, Math.min(1, rules.tolerance / Math.exp(slowness)));
    // Room for a queue that says more next time; well within what is tolerated, room to grow fast.
    const headroom = Math.max(Math.sqrt(exact), gradient === 1 ? exact * growth : 0);
    const target = exact * gradient + headroom;
    return exact + smoothing * (target - exact);
  }

  return {
    get limit() {
      return Math.floor(exact);
    },
    sample(seconds, of, inFlight) {
      const i = classOf(of);
      sums[i] = (sums[i] ?? 0) + Math.log(Math.max(seconds, 1e-4));
      counts[i] = (counts[i] ?? 0) + 1;
      samples++;
      peak = Math.max(peak, inFlight);
      closeWhenDue();
    },
    failed(error, inFlight) {
      if (!tellsOfOverload(error)) return;
      failures++;
      peak = Math.max(peak, inFlight);
      closeWhenDue();
    },
  };
}

/** Sizes within a factor of four are alike: up to 16 tokens, 64, 256 … */
function classOf({ stream, tokens }: SampleClass): number {
  const size = Math.floor(Math.log2(Math.max(1, tokens)) / 2) - 1;
  return Math.max(0, Math.min(sizeClasses - 1, size)) + (stream ? sizeClasses : 0);
}

function clamp(value: number, { min, max }: AdaptiveLimitRules): number {
  return Math.max(min, Math.min(max, value));
}

function tellsOfOverload({ code, status }: GatewayError): boolean {
  if (code === "rate_limited" || code === "upstream_timeout") return true;
  return code === "upstream_failed" && (status === 503 || status === 529);
}
