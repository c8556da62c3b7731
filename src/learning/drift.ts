/**
 * Drift: the world is no longer as it was when the router was trained. Watched per router in force:
 * the queries (novelty), the scores (predicted quality of what is chosen), and per model the outcomes
 * (quality and latency beside what was predicted, failures). Each is a CUSUM against its own first
 * calls. Constant memory, well under a microsecond a call.
 */
import type { Clock } from "../std/clock.ts";
import { type Change, type Cusum, type CusumOptions, createCusum } from "../std/cusum.ts";

export const driftKinds = ["queries", "scores", "quality", "latency", "failures"] as const;
export type DriftKind = (typeof driftKinds)[number];

export interface DriftAlarm extends Change {
  readonly kind: DriftKind;
  /** Of quality, latency and failures. */
  readonly model?: string;
  /** `name@version` of the router that decided. */
  readonly artifact: string;
  readonly atMs: number;
  readonly message: string;
  readonly remedy: string;
}

/** One decision of a trained router, when its call has ended. */
export interface DriftSample {
  readonly artifact: string;
  readonly model: string;
  readonly novelty: number;
  readonly predictedQuality: number;
  /** NaN where none is predicted. */
  readonly predictedLatencyMs: number;
  readonly ok: boolean;
  /** Of one that succeeded at the first attempt; NaN else. */
  readonly latencyMs: number;
}

export interface DriftWatch {
  observe(sample: DriftSample): void;
  /** A score in [0, 1] of a call that was observed, and what was predicted of it. */
  observeScore(of: Pick<DriftSample, "artifact" | "model">, residual: number): void;
  /** Those that still stand: for a day, or until the router they are about is forgotten. */
  alarms(): readonly DriftAlarm[];
}

export interface DriftOptions {
  readonly clock: Clock;
  readonly onAlarm: (alarm: DriftAlarm) => void;
  readonly rules?: Partial<Readonly<Record<DriftKind, Partial<CusumOptions>>>>;
}

/**
 * Half a deviation is the smallest change worth an alarm; a change of a whole one is told after some
 * 33 calls, of a half after some 100. Between two false ones lie tens of thousands of calls
 * (drift.test.ts measures both). Feedback is rarer than calls, so its baseline is shorter.
 */
export const driftRules: Readonly<Record<DriftKind, CusumOptions>> = {
  queries: { baseline: 500, slack: 0.25, threshold: 25, side: "up", leastDeviation: 0.02 },
  scores: { baseline: 500, slack: 0.25, threshold: 25, side: "both", leastDeviation: 0.01 },
  quality: { baseline: 200, slack: 0.25, threshold: 25, side: "down", leastDeviation: 0.05 },
  // A logarithm: a whole deviation is a factor.
  latency: { baseline: 300, slack: 0.25, threshold: 25, side: "up", leastDeviation: 0.1 },
  failures: { baseline: 300, slack: 0.25, threshold: 25, side: "up", leastDeviation: 0.05 },
};

/** Routers and models that are watched at once; what is used longest ago is forgotten. */
export const mostArtifacts = 4;
export const mostModels = 256;
const mostAlarms = 64;
const alarmMs = 24 * 3_600_000;

interface Watched {
  readonly queries: Cusum;
  readonly scores: Cusum;
  readonly models: Map<string, OfModel>;
}

interface OfModel {
  readonly quality: Cusum;
  readonly latency: Cusum;
  readonly failures: Cusum;
}

export function createDriftWatch({ clock, onAlarm, rules }: DriftOptions): DriftWatch {
  const watched = new Map<string, Watched>();
  let standing: DriftAlarm[] = [];
  const make = (kind: DriftKind) => createCusum({ ...driftRules[kind], ...rules?.[kind] });

  function of(artifact: string): Watched {
    const known = watched.get(artifact);
    if (known) return known;
    const made = { queries: make("queries"), scores: make("scores"), models: new Map() };
    watched.set(artifact, made);
    if (watched.size > mostArtifacts) forget(watched.keys().next().value ?? "");
    return made;
  }

  function forget(artifact: string): void {
    watched.delete(artifact);
    standing = standing.filter((alarm) => alarm.artifact !== artifact);
  }

  function ofModel({ models }: Watched, model: string): OfModel | undefined {
    const known = models.get(model);
    if (known || models.size >= mostModels) return known;
    const made = { quality: make("quality"), latency: make("latency"), failures: make("failures") };
    models.set(model, made);
    return made;
  }

  function raise(kind: DriftKind, change: Change | undefined, at: Where): void {
    if (!change) return;
    const { artifact, model } = at;
    const alarm: DriftAlarm = {
      kind,
      ...change,
      artifact,
      ...(model === undefined ? {} : { model }),
      atMs: clock.now(),
      message: toMessage(kind, change, model),
      remedy: remedies[kind],
    };
    const same = (one: DriftAlarm) =>
      one.kind === kind && one.artifact === artifact && one.model === model;
    standing = [...standing.filter((one) => !same(one)), alarm].slice(-mostAlarms);
    onAlarm(alarm);
  }

  return {
    observe(sample) {
      const { artifact, model, ok, latencyMs, predictedLatencyMs } = sample;
      const here = of(artifact);
      raise("queries", here.queries.add(sample.novelty), { artifact });
      if (Number.isFinite(sample.predictedQuality)) {
        raise("scores", here.scores.add(sample.predictedQuality), { artifact });
      }
      const its = ofModel(here, model);
      if (!its) return;
      raise("failures", its.failures.add(ok ? 0 : 1), { artifact, model });
      if (!(latencyMs > 0)) return;
      const expected = predictedLatencyMs > 0 ? predictedLatencyMs : 1;
      raise("latency", its.latency.add(Math.log(latencyMs / expected)), { artifact, model });
    },
    observeScore({ artifact, model }, residual) {
      const its = ofModel(of(artifact), model);
      if (its) raise("quality", its.quality.add(residual), { artifact, model });
    },
    alarms() {
      const now = clock.now();
      if (standing.some(({ atMs }) => now - atMs >= alarmMs)) {
        standing = standing.filter(({ atMs }) => now - atMs < alarmMs);
      }
      return standing;
    },
  };
}

interface Where {
  readonly artifact: string;
  readonly model?: string;
}

function toMessage(kind: DriftKind, change: Change, model = ""): string {
  const { before, now, since, direction } = change;
  const pair = (digits: number) => `${now.toFixed(digits)}, before ${before.toFixed(digits)}`;
  const lately = `in the last ${since} calls`;
  switch (kind) {
    case "queries":
      return `the queries are less like the training data: mean novelty ${pair(2)}, ${lately}`;
    case "scores":
      return `predicted quality of the chosen models went ${direction}: ${pair(3)}, ${lately}`;
    case "quality":
      return `${model} does worse than predicted: by ${pair(3)} (score less prediction), in the last ${since} scores`;
    case "latency":
      return `${model} takes ${Math.exp(now - before).toFixed(2)} times as long as it did, ${lately}`;
    case "failures":
      return `${model} fails more often: ${(now * 100).toFixed(1)} %, before ${(before * 100).toFixed(1)} %, ${lately}`;
  }
}

const trainAgain =
  "Train a router from what the gateway has seen since: routeiq train --events DATA_FOLDER --strategy auto --out ./router.";

const remedies: Readonly<Record<DriftKind, string>> = {
  queries: `${trainAgain} Until then queries unlike the training data are routed by the global table.`,
  scores: trainAgain,
  quality: `Look at that model's provider: another version may stand behind its name. ${trainAgain}`,
  latency: "Look at that model's provider. routing_strategy_args.latency_weight routes by latency.",
  failures: "Look at that model's provider, its key and its limits.",
};
