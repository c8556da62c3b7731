/**
 * Experiments under way: what the calls of each variant came to, held against the control by
 * intervals that one may look at as often as one likes; variants that prove worse are stopped.
 */
import type { ExperimentConfig } from "../../config/config.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { ExperimentStops } from "../../routing/split.ts";
import type { Clock } from "../../std/clock.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { type Difference, findRegression, type Thresholds, toDifferences } from "./compare.ts";
import { type Figures, newFigures, restoreFigures, saveFigures, sumFigures } from "./figures.ts";
import type { Watcher } from "./watch-events.ts";

export interface VariantReport {
  readonly name: string;
  readonly strategy: string | null;
  readonly tradeoff: number | null;
  readonly weight: number;
  readonly share: number;
  readonly calls: number;
  readonly stopped: { readonly at: string; readonly reason: string } | null;
  /** Against the control; of the control itself: none. Together they err in 5 % of experiments. */
  readonly differences: readonly Difference[];
}

export interface ExperimentReport {
  readonly experiment_id: string;
  readonly description: string | null;
  readonly enabled: boolean;
  /** Calls are shared out now: it is on, and within its times. */
  readonly running: boolean;
  readonly start_time: string | null;
  readonly end_time: string | null;
  readonly models: readonly string[] | null;
  readonly control: string;
  readonly total_weight: number;
  readonly variants: readonly VariantReport[];
}

export interface Experiments extends ExperimentStops {
  /** A configuration: what is as it was goes on; what is changed begins anew. */
  follow(configs: readonly ExperimentConfig[], thresholds: Thresholds): void;
  watcher(id: string): Watcher | undefined;
  reports(): readonly ExperimentReport[];
  /** False where there is no such variant, or it is the control, which answers for the others. */
  stop(id: string, variant: string, reason: string): boolean;
  /** Shares calls out to it again, and counts anew. False where it was not stopped. */
  start(id: string, variant: string): boolean;
  /**
   * What other processes and gateways `save`d of the same experiments: theirs count as well. A
   * variant that one of them stopped is stopped here; one that an operator started anew begins anew.
   */
  join(others: readonly JsonObject[]): void;
  /** All that is needed to go on after a restart: of this process alone. */
  save(): JsonObject;
  restore(saved: JsonObject | undefined): void;
}

export interface ExperimentsOptions {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Told when something is to be saved at once. */
  readonly onChange: () => void;
}

/** Of all intervals of an experiment together. */
const errorShare = 0.05;
/** A look, then the next when there are so many times the calls. */
const lookGrowth = 1.05;
const firstLook = 5;

interface Arm {
  /** Of this process. */
  figures: Figures;
  /** Of all the others. */
  others: Figures;
  nextLook: number;
  /** When an operator started it anew, ms since the epoch: what was counted before is void. */
  epochMs: number;
  stopped: { readonly at: string; readonly reason: string } | undefined;
}

interface Running {
  readonly config: ExperimentConfig;
  readonly definition: string;
  readonly arms: ReadonlyMap<string, Arm>;
}

export function createExperiments({ clock, telemetry, onChange }: ExperimentsOptions): Experiments {
  const stops = telemetry.counter(
    "routeiq_experiment_stops_total",
    "Variants of experiments that were stopped, by what they were worse in.",
    ["experiment", "variant", "regression"],
  );
  const running = new Map<string, Running>();
  let limits: Thresholds | undefined;
  let restored: JsonObject = {};

  function begin(config: ExperimentConfig): Running {
    const definition = definitionOf(config);
    const arms = new Map(config.variants.map(({ name }) => [name, newArm()]));
    const saved = restored[config.id];
    if (isObject(saved) && saved["definition"] === definition) restoreArms(arms, saved["arms"]);
    return { config, definition, arms };
  }

  function halt(of: Running, name: string, reason: string, regression: string): void {
    const arm = of.arms.get(name);
    if (!arm) return;
    arm.stopped = { at: new Date(clock.now()).toISOString(), reason };
    const { id } = of.config;
    stops.add(1, id, name, regression);
    const audit = "experiment.stopped";
    const fields = { audit, experiment: id, variant: name, reason, control: of.config.control };
    telemetry.log(
      "warn",
      "a variant of an experiment is stopped; the control answers for it",
      fields,
    );
    onChange();
  }

  function look(of: Running, name: string): void {
    const { control, stopOn, variants } = of.config;
    const arm = of.arms.get(name);
    const before = of.arms.get(control);
    if (!limits || !arm || !before || arm.stopped || name === control || stopOn.length === 0)
      return;
    const thresholds = { ...limits, alpha: limits.alpha / (variants.length - 1) };
    const found = findRegression(allOf(before), allOf(arm), thresholds, stopOn);
    if (found) halt(of, name, found.message, found.regression);
  }

  function watcherOf(of: Running): Watcher {
    return {
      observe({ arm: name, unit, ok, latencyMs, costUsd }) {
        const arm = of.arms.get(name);
        if (!arm) return;
        const { failed, logLatency, cost } = arm.figures;
        failed.add(ok ? 0 : 1, unit);
        if (ok) logLatency.add(Math.log(Math.max(latencyMs, 0.1)), unit);
        if (ok && costUsd !== undefined) cost.add(costUsd, unit);
        const seen = failed.seen + arm.others.failed.seen;
        if (seen < arm.nextLook) return;
        arm.nextLook = Math.ceil(seen * lookGrowth + 1);
        look(of, name);
      },
      observeScore(name, score, unit) {
        of.arms.get(name)?.figures.loss.add(1 - score, unit);
        look(of, name);
      },
    };
  }

  const watchers = new WeakMap<Running, Watcher>();

  return {
    has: (id, variant) => running.get(id)?.arms.get(variant)?.stopped !== undefined,
    follow(configs, thresholds) {
      limits = thresholds;
      const next = configs.map((config): [string, Running] => {
        const held = running.get(config.id);
        const same = held?.definition === definitionOf(config);
        return [config.id, same && held ? { ...held, config } : begin(config)];
      });
      running.clear();
      for (const [id, one] of next) running.set(id, one);
    },
    watcher(id) {
      const of = running.get(id);
      if (!of) return undefined;
      let watcher = watchers.get(of);
      if (!watcher) {
        watcher = watcherOf(of);
        watchers.set(of, watcher);
      }
      return watcher;
    },
    reports: () => [...running.values()].map((one) => toReport(one, clock.now(), limits)),
    stop(id, variant, reason) {
      const of = running.get(id);
      if (!of?.arms.has(variant) || variant === of.config.control) return false;
      if (!of.arms.get(variant)?.stopped) halt(of, variant, reason, "operator");
      return true;
    },
    start(id, variant) {
      const arm = running.get(id)?.arms.get(variant);
      if (!arm?.stopped) return false;
      Object.assign(arm, newArm(clock.now()));
      const fields = { audit: "experiment.started", experiment: id, variant };
      telemetry.log("info", "a variant of an experiment is given its share again", fields);
      onChange();
      return true;
    },
    join(states) {
      for (const of of running.values()) {
        const same = states.flatMap((state) => {
          const one = state[of.config.id];
          return isObject(one) && one["definition"] === of.definition ? [one["arms"]] : [];
        });
        for (const [name, arm] of of.arms) {
          const stopped = joinArm(
            arm,
            same.flatMap((arms) => (isObject(arms) ? [arms[name]] : [])),
          );
          if (stopped && name !== of.config.control) arm.stopped = stopped;
          look(of, name);
        }
      }
    },
    save() {
      const saved = [...running].map(([id, { definition, arms }]) => [
        id,
        { definition, arms: saveArms(arms) },
      ]);
      return Object.fromEntries(saved);
    },
    restore(saved) {
      restored = saved ?? {};
    },
  };
}

const newArm = (epochMs = 0): Arm => ({
  figures: newFigures(),
  others: newFigures(),
  nextLook: firstLook,
  epochMs,
  stopped: undefined,
});

/** Most arms are one process's: nothing is summed then. */
function allOf({ figures, others }: Arm): Figures {
  return others.failed.seen + others.loss.seen === 0 ? figures : sumFigures([figures, others]);
}

/** Gives why others have stopped it, where it is not stopped here. */
function joinArm(arm: Arm, saved: readonly unknown[]): Arm["stopped"] {
  const all = saved.filter(isObject).map((one) => ({ ...one, epochMs: Number(one["epoch"] ?? 0) }));
  const epochMs = Math.max(arm.epochMs, ...all.map((one) => one.epochMs));
  if (epochMs > arm.epochMs) Object.assign(arm, newArm(epochMs));
  const current = all.filter((one) => one.epochMs === epochMs) as readonly JsonObject[];
  arm.others = sumFigures(current.flatMap((one) => restoreFigures(one["figures"]) ?? []));
  const halted = current.map((one) => one["stopped"]).find(isObject);
  if (arm.stopped || !halted) return undefined;
  return { at: String(halted["at"]), reason: String(halted["reason"]) };
}

/** What makes it another experiment; its words, times and switch do not. */
function definitionOf({ id, variants, control, models }: ExperimentConfig): string {
  return JSON.stringify({ id, variants, control, models: models ?? null });
}

function toReport(
  { config, arms }: Running,
  nowMs: number,
  limits: Thresholds | undefined,
): ExperimentReport {
  const { id, description, enabled, startMs, endMs, models, control, variants } = config;
  const total = variants.reduce((sum, { weight }) => sum + weight, 0);
  const before = arms.get(control);
  const timeOf = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    experiment_id: id,
    description: description ?? null,
    enabled,
    running: enabled && nowMs >= (startMs ?? -Infinity) && nowMs < (endMs ?? Infinity),
    start_time: timeOf(startMs),
    end_time: timeOf(endMs),
    models: models ?? null,
    control,
    total_weight: total,
    variants: variants.map((variant) => {
      const arm = arms.get(variant.name);
      const compared = limits && before && arm && variant.name !== control;
      return {
        name: variant.name,
        strategy: variant.strategy ?? null,
        tradeoff: variant.tradeoff ?? null,
        weight: variant.weight,
        share: total > 0 ? variant.weight / total : 0,
        calls: arm ? arm.figures.failed.seen + arm.others.failed.seen : 0,
        stopped: arm?.stopped ?? null,
        differences: compared
          ? toDifferences(allOf(before), allOf(arm), limits, alphaOf(variants.length))
          : [],
      };
    }),
  };
}

/** Shared out over four metrics of every variant but the control. */
const alphaOf = (variants: number) => errorShare / (4 * Math.max(1, variants - 1));

function saveArms(arms: ReadonlyMap<string, Arm>): JsonObject {
  return Object.fromEntries(
    [...arms].map(([name, { figures, epochMs, stopped }]) => [
      name,
      {
        figures: saveFigures(figures),
        epoch: epochMs,
        ...(stopped && { stopped: { ...stopped } }),
      },
    ]),
  );
}

function restoreArms(arms: ReadonlyMap<string, Arm>, saved: unknown): void {
  if (!isObject(saved)) return;
  for (const [name, arm] of arms) {
    const one = saved[name];
    if (!isObject(one)) continue;
    arm.figures = restoreFigures(one["figures"]) ?? arm.figures;
    arm.nextLook = Math.max(firstLook, Math.ceil(arm.figures.failed.seen * lookGrowth + 1));
    const { stopped, epoch } = one;
    if (typeof epoch === "number") arm.epochMs = epoch;
    if (!isObject(stopped)) continue;
    arm.stopped = { at: String(stopped["at"]), reason: String(stopped["reason"]) };
  }
}
