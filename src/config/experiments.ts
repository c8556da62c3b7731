/** `routeiq_settings.experiments`, or the predecessor's variables, to experiments in the order of their walk. */
import type { Static } from "@sinclair/typebox";
import { isObject, type Json } from "../domain/json.ts";
import type { ExperimentConfig, VariantConfig } from "./config.ts";
import type { Environment } from "./files.ts";
import type { ExperimentSettings } from "./sections/experiment-settings.ts";

type Section = Readonly<Record<string, Static<typeof ExperimentSettings>>>;
type VariantSection = Section[string]["variants"][string];

export function toExperimentConfigs(
  section: Section,
  env: Environment,
): readonly ExperimentConfig[] {
  const older = olderExperiment(env);
  const entries = Object.entries(section);
  if (older && !Object.hasOwn(section, older[0])) entries.push(older);
  return entries.map(([id, refusedOrWhole]) => {
    const { variants = {} } = refusedOrWhole as Partial<Section[string]>; // left out where refused
    const one = { ...refusedOrWhole, variants };
    const names = Object.keys(one.variants);
    return {
      id,
      enabled: one.enabled,
      variants: walk(one),
      control: one.control ?? names[0] ?? "",
      stopOn: one.stop_on,
      unknownWeights: Object.keys(one.weights ?? {}).filter((key) => !variantOf(key, one)),
      ...(one.description === undefined ? {} : { description: one.description }),
      ...(one.models === undefined ? {} : { models: one.models }),
      ...(one.start_time === undefined ? {} : { startMs: Date.parse(one.start_time) }),
      ...(one.end_time === undefined ? {} : { endMs: Date.parse(one.end_time) }),
    };
  });
}

/** In the order of the weights, as the predecessor walks them; then those that have none. */
function walk(one: Section[string]): readonly VariantConfig[] {
  const { variants, weights } = one;
  const names = Object.keys(variants);
  const ordered = Object.entries(weights ?? Object.fromEntries(names.map((name) => [name, 1])));
  const walked = ordered.flatMap(([key, weight]) => {
    const name = variantOf(key, one);
    return name === undefined ? [] : [toVariant(name, weight, variants[name] as VariantSection)];
  });
  const seen = new Set(walked.map(({ name }) => name));
  const rest = names.filter((name) => !seen.has(name));
  return [...walked, ...rest.map((name) => toVariant(name, 0, variants[name] as VariantSection))];
}

/** By its name, else by its strategy. */
function variantOf(key: string, { variants }: Section[string]): string | undefined {
  if (Object.hasOwn(variants, key)) return key;
  return Object.keys(variants).find((name) => variants[name] === key);
}

function toVariant(name: string, weight: number, section: VariantSection): VariantConfig {
  if (typeof section === "string") return { name, weight, strategy: section };
  const { strategy, tradeoff, floor, ...model } = section;
  const own = Object.values(model).some((value) => value !== undefined);
  return {
    name,
    weight,
    ...(strategy === undefined ? {} : { strategy }),
    ...(tradeoff === undefined ? {} : { tradeoff }),
    ...(floor === undefined ? {} : { floor }),
    ...(own ? { model } : {}),
  };
}

const standards = { enabled: true, stop_on: ["errors" as const] };

/** LLMROUTER_EXPERIMENT_CONFIG, or LLMROUTER_STRATEGY_WEIGHTS; what cannot be read is as if unset. */
function olderExperiment(env: Environment): [string, Section[string]] | undefined {
  const config = parse(env["LLMROUTER_EXPERIMENT_CONFIG"]);
  if (isObject(config)) {
    const { experiment_id: id, variants, weights, enabled, description } = config;
    if (typeof id !== "string" || !isObject(variants)) return undefined;
    return [
      id,
      {
        ...standards,
        variants: textsOf(variants),
        ...(isObject(weights) ? { weights: wholesOf(weights) } : {}),
        enabled: enabled !== false,
        ...(typeof description === "string" ? { description } : {}),
      },
    ];
  }
  const weights = parse(env["LLMROUTER_STRATEGY_WEIGHTS"]);
  if (!isObject(weights) || Object.keys(weights).length === 0) return undefined;
  const variants = Object.fromEntries(Object.keys(weights).map((name) => [name, name]));
  const id = env["LLMROUTER_EXPERIMENT_ID"] || "strategy_weights";
  return [id, { ...standards, variants, weights: wholesOf(weights) }];
}

function parse(text: string | undefined): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function textsOf(map: Readonly<Record<string, Json | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(map).flatMap(([key, value]) =>
      typeof value === "string" ? [[key, value]] : [],
    ),
  );
}

function wholesOf(map: Readonly<Record<string, Json | undefined>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(map).flatMap(([key, value]) =>
      typeof value === "number" && Number.isInteger(value) && value >= 0 ? [[key, value]] : [],
    ),
  );
}
