/** The experiments of a configuration, as calls are shared out by them. */
import type { Config, VariantConfig } from "../config/config.ts";
import type { Dial } from "../domain/decision.ts";
import { findBalancer } from "./balancers/registry.ts";
import { parseFloorSetting } from "./dial.ts";
import type { RouterSlot } from "./slot.ts";
import type { Experiment, Variant, VariantSettings } from "./split.ts";

export interface ExperimentParts {
  /** The dial as configured. */
  readonly dial: Dial;
  /** Of a variant that has trained routers of its own. */
  readonly slotOf: (experiment: string, variant: string) => RouterSlot;
}

/** Only what may share calls out: those that are on, and have something to share. */
export function toExperiments(
  { routeiq }: Pick<Config, "routeiq">,
  parts: ExperimentParts,
): readonly Experiment[] {
  return routeiq.experiments.flatMap((one): Experiment[] => {
    if (!one.enabled) return [];
    const variants = one.variants.map(
      (variant): Variant => ({
        name: variant.name,
        weight: variant.weight,
        settings: toSettings(one.id, variant, parts),
      }),
    );
    const control = variants.find(({ name }) => name === one.control);
    const totalWeight = variants.reduce((sum, { weight }) => sum + weight, 0);
    if (!control || totalWeight < 1) return [];
    return [
      {
        id: one.id,
        variants,
        totalWeight,
        control,
        ...(one.models && { models: new Set(one.models) }),
        startMs: one.startMs ?? Number.NEGATIVE_INFINITY,
        endMs: one.endMs ?? Number.POSITIVE_INFINITY,
      },
    ];
  });
}

function toSettings(
  experiment: string,
  { name, strategy, tradeoff, floor, model }: VariantConfig,
  { dial, slotOf }: ExperimentParts,
): VariantSettings {
  const balancer = strategy === undefined ? undefined : findBalancer(strategy);
  const slot = model && slotOf(experiment, name);
  return {
    ...(balancer && { balancer }),
    ...(slot && { slot }),
    ...toDial(dial, tradeoff, floor),
  };
}

/** A floor comes before a trade-off, so a variant's trade-off takes the configured floor away. */
function toDial(dial: Dial, tradeoff: number | undefined, floor: string | undefined) {
  if (floor !== undefined) return { dial: { ...dial, floor: parseFloorSetting(floor) } };
  if (tradeoff === undefined) return undefined;
  const { floor: _configured, ...rest } = dial;
  return { dial: { ...rest, tradeoff } };
}
