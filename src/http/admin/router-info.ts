/** `GET /router/info`: the predecessor's shape, and what the router in force is. */
import type { KnownNames } from "../../config/check/rule.ts";
import type { ConfigReloader } from "../../config/reload.ts";
import type { DriftAlarm } from "../../learning/drift.ts";
import type { RolloutControl } from "../../learning/rollout/control.ts";
import type { ExperimentReport, Experiments } from "../../learning/rollout/experiments.ts";
import type { Services } from "../../pipeline/services.ts";
import { untrainedChoice } from "../../routing/in-force.ts";
import type { ArtifactStatus } from "../../routing/slot.ts";
import type { Route } from "../route.ts";

export interface RouterInfoParts {
  readonly artifact: () => ArtifactStatus;
  readonly reloader: ConfigReloader;
  readonly known: KnownNames;
  readonly drift: () => readonly DriftAlarm[];
  readonly rollout: () => RolloutControl | undefined;
  readonly experiments: Pick<Experiments, "reports">;
}

export function routerInfoRoutes(parts: RouterInfoParts): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/router/info",
      who: "admin",
      errors: "detail",
      summary: "The strategies, the one in force, its artifact, and the last reload.",
      handle: (_request, { services }) => Response.json(describe(services, parts)),
    },
  ];
}

function describe({ config, table }: Services, parts: RouterInfoParts) {
  const { artifact, reloader, known, drift, rollout, experiments } = parts;
  const { routingStrategy: active, routingStrategyArgs: args } = config.router;
  const names = [...new Set([...known.balancers, ...known.strategies])];
  const status = artifact();
  const reload = reloader.status();
  // The predecessor's shape has room for one.
  const trial = experiments.reports().find(({ running }) => running);
  const staged = rollout()?.status().staged;
  return {
    registered_strategies: names,
    strategy_count: names.length,
    hot_reload_enabled: args.hot_reload ?? true,
    registry: {
      registered_strategies: names,
      active_strategy: active,
      ab_weights: toWeights(trial),
      ab_enabled: trial !== undefined,
      experiment: toExperiment(trial),
      staged_strategies: staged ? [`${staged.name}@${staged.version}`] : [],
      strategy_versions: status.version === undefined ? {} : { [active]: String(status.version) },
    },
    artifact: status,
    drift: drift(),
    tradeoff: args.tradeoff ?? 0.5,
    floor: args.floor ?? null,
    latency_weight: args.latency_weight ?? 0,
    exploration: args.exploration ?? null,
    balancer: args.balancer ?? "simple-shuffle",
    fallback_strategy: untrainedChoice(config.router),
    models: table.names.length,
    deployments: table.deployments.length,
    config: {
      files: config.files,
      origin: config.origin,
      reload_count: reload.count,
      last_reload_at: reload.lastAtMs ? new Date(reload.lastAtMs).toISOString() : null,
      last_outcome: reload.lastOutcome ?? null,
      findings: reload.findings,
    },
  };
}

function toWeights(trial: ExperimentReport | undefined): Record<string, number> {
  return Object.fromEntries((trial?.variants ?? []).map(({ name, weight }) => [name, weight]));
}

function toExperiment(trial: ExperimentReport | undefined) {
  if (!trial) return null;
  const variants = trial.variants.map(({ name, strategy }) => [name, strategy]);
  return {
    id: trial.experiment_id,
    variants: Object.fromEntries(variants),
    enabled: trial.enabled,
  };
}
