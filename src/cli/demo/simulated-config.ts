/** What `serve` answers from where there is neither a configuration nor a key. */
import type { Config, ModelEntry } from "../../config/config.ts";
import type { SimulatedEntry } from "./simulated-providers.ts";

/** A configuration of origin "simulated" with the simulated models in it. */
export function withSimulatedModels(config: Config, entries: readonly SimulatedEntry[]): Config {
  const models = entries.map(
    (entry): ModelEntry => ({
      modelName: entry.model_name,
      params: entry.litellm_params,
      info: entry.model_info,
      file: "the simulated providers",
      line: 0,
    }),
  );
  return { ...config, models };
}
