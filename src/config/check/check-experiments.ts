/** Rules of `routeiq_settings.experiments`: what cannot be shared out as written is refused. */
import { rankNearest } from "../../std/nearest.ts";
import type { ExperimentConfig, VariantConfig } from "../config.ts";
import type { Path } from "../yaml.ts";
import type { Check } from "./rule.ts";

/** As the hash's remainder is exact up to here. */
const mostWeight = 1_000_000;

export function checkExperiments(check: Check): void {
  for (const experiment of check.config.routeiq.experiments) checkExperiment(experiment, check);
}

function checkExperiment(experiment: ExperimentConfig, check: Check): void {
  const { id, variants, control, startMs, endMs, unknownWeights } = experiment;
  const { report, spot } = check;
  const at = (...path: Path) => spot(["routeiq_settings", "experiments", id, ...path]);
  const names = variants.map(({ name }) => name);
  const shown = names.join(", ");
  if (variants.length < 2) {
    report.refuse(
      at("variants"),
      `experiment "${id}" has ${variants.length} variants`,
      "Name two or more: {control: llmrouter-knn, cheap: {tradeoff: 0.2}}.",
    );
  }
  for (const weight of unknownWeights) {
    const remedy = `Weights are by variant (${shown}) or by a variant's strategy.`;
    report.refuse(at("weights", weight), `"${weight}" is no variant of "${id}"`, remedy);
  }
  const sum = variants.reduce((total, { weight }) => total + weight, 0);
  if (sum < 1 || sum > mostWeight) {
    const message = `the weights of "${id}" come to ${sum}`;
    report.refuse(at("weights"), message, `Their sum must be from 1 to ${mostWeight}.`);
  }
  if (variants.length > 0 && !names.includes(control)) {
    report.refuse(at("control"), `"${control}" is no variant of "${id}"`, `Use one of: ${shown}.`);
  }
  for (const [key, ms] of [
    ["start_time", startMs],
    ["end_time", endMs],
  ] as const) {
    if (ms === undefined || Number.isFinite(ms)) continue;
    report.refuse(at(key), `${key} is no time`, "Write it as 2026-12-01T00:00:00Z.");
  }
  for (const variant of variants) checkVariant(variant, at("variants", variant.name), check);
}

function checkVariant(
  { name, strategy, model }: VariantConfig,
  at: ReturnType<Check["spot"]>,
  { config, known, report }: Check,
): void {
  const configured = config.router.routingStrategy;
  if (strategy === undefined || strategy === configured) return;
  if (known.balancers.includes(strategy)) {
    if (!model) return;
    const message = `variant "${name}": the balancer ${strategy} has no use for a model_path`;
    report.refuse(at, message, "Remove one of the two.");
    return;
  }
  if (known.strategies.includes(strategy)) {
    if (model?.model_path !== undefined) return;
    const message = `variant "${name}": ${strategy} needs a trained router of its own`;
    report.refuse(at, message, "Write its model_path and model_root into the variant.");
    return;
  }
  const all = [...new Set([...known.balancers, ...known.strategies])];
  const remedy = `Nearest: ${rankNearest(strategy, all, 3).join(", ")}.`;
  report.refuse(at, `variant "${name}": there is no strategy "${strategy}"`, remedy);
}
