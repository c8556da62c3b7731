/** Experiments of a running gateway: their state on the disk, and variants' own trained routers. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config, ExperimentConfig, VariantConfig } from "../../config/config.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { createSlot, type RouterSlot, type SwappableSlot } from "../../routing/slot.ts";
import type { Clock } from "../../std/clock.ts";
import { writeFileAtomic } from "../../storage/file/atomic-write.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { createLiveRouter, type LiveRouter, type LiveRouterOptions } from "../artifacts/live.ts";
import { createExperiments, type Experiments } from "./experiments.ts";
import { toRolloutPlan } from "./plan.ts";
import { createSaver } from "./save-latest.ts";

export interface LiveExperiments {
  readonly experiments: Experiments;
  /** @throws GatewayError config_invalid */
  follow(config: Config): Promise<void>;
  /** Where a variant's own trained router stands, now and after every reload. */
  slotOf(experiment: string, variant: string): RouterSlot;
  /** Resolves when what is noted is on the disk. */
  close(): Promise<void>;
}

export interface LiveExperimentsOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** For variants with trained routers of their own. */
  readonly live: Omit<LiveRouterOptions, "slot" | "dataDir" | "telemetry" | "shadow">;
  /** One process writes the state where several share a folder. */
  readonly keeps: boolean;
}

const fileName = "experiments.json";
const saveEveryMs = 30_000;

interface OwnRouter {
  readonly slot: SwappableSlot;
  readonly live: LiveRouter;
}

export function createLiveExperiments(options: LiveExperimentsOptions): LiveExperiments {
  const { clock, telemetry, dataDir } = options;
  const path = join(dataDir, fileName);
  const own = new Map<string, OwnRouter>();
  let loaded = false;
  let cancelSave: (() => void) | undefined;
  const saver = createSaver<JsonObject>(
    async (state) => {
      await writeFileAtomic(path, new TextEncoder().encode(JSON.stringify(state)));
    },
    (error) => telemetry.log("error", "the state of experiments cannot be kept", { path, error }),
  );
  const experiments = createExperiments({ clock, telemetry, onChange: save });

  function save(): void {
    if (loaded && options.keeps) saver.save(experiments.save());
  }

  function saveLater(): void {
    cancelSave ??= clock.after(saveEveryMs, () => {
      cancelSave = undefined;
      save();
      saveLater();
    });
  }

  async function followOwn(config: Config): Promise<void> {
    const wanted = new Map(
      config.routeiq.experiments.flatMap((experiment) =>
        experiment.variants.flatMap((variant) =>
          variant.model ? [[keyOf(experiment.id, variant.name), { experiment, variant }]] : [],
        ),
      ) as [string, { experiment: ExperimentConfig; variant: VariantConfig }][],
    );
    for (const [key, { live }] of own) {
      if (wanted.has(key)) continue;
      await live.close();
      own.delete(key);
    }
    for (const [key, { experiment, variant }] of wanted) {
      const held = own.get(key) ?? open(experiment, variant);
      own.set(key, held);
      await held.live.follow(withModel(config, variant), true);
    }
  }

  function open({ id }: ExperimentConfig, { name }: VariantConfig): OwnRouter {
    const slot = createSlot({ status: "none" });
    const live = createLiveRouter({
      ...options.live,
      slot,
      dataDir: join(dataDir, "experiments", safeName(`${id}-${name}`)),
      telemetry: onlyLines(telemetry, { experiment: id, variant: name }),
    });
    return { slot, live };
  }

  return {
    experiments,
    async follow(config) {
      const { experiments: configs } = config.routeiq;
      if (!loaded && configs.length > 0) {
        experiments.restore(await readState(path));
        loaded = true;
        saveLater();
      }
      experiments.follow(configs, toRolloutPlan(config.router.routingStrategyArgs.rollout).health);
      await followOwn(config);
    },
    slotOf(experiment, variant) {
      const key = keyOf(experiment, variant);
      return {
        acquire: () => own.get(key)?.slot.acquire(),
        canary: () => undefined,
        acquireCanary: () => undefined,
        status: () => own.get(key)?.slot.status() ?? { status: "missing" },
      };
    },
    async close() {
      cancelSave?.();
      save();
      for (const { live, slot } of own.values()) {
        await live.close();
        slot.swap(undefined, { status: "none" });
      }
      await saver.pending();
    },
  };
}

const keyOf = (experiment: string, variant: string) => JSON.stringify([experiment, variant]);

const safeName = (text: string) => text.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64);

/** The variant's repository in the configured one's place; no steps, since the experiment is the trial. */
function withModel(config: Config, { strategy, model }: VariantConfig): Config {
  const { model_path, model_root, model_name, rollout, ...args } =
    config.router.routingStrategyArgs;
  return {
    ...config,
    router: {
      ...config.router,
      ...(strategy === undefined ? {} : { routingStrategy: strategy }),
      routingStrategyArgs: { ...args, ...model },
    },
  };
}

async function readState(path: string): Promise<JsonObject | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // none yet, or damaged: figures, on which no trust rests, begin anew
  }
}

/** Metrics of artifacts are the configured router's; a variant's are told in lines alone. */
function onlyLines(telemetry: Telemetry, fields: Readonly<Record<string, string>>): Telemetry {
  const none = () => undefined;
  return {
    ...telemetry,
    counter: () => ({ add: none, of: () => ({ add: none }) }),
    histogram: () => ({ observe: none, of: () => ({ observe: none }) }),
    gauge: () => ({ set: none }),
    log: (level, message, more) => telemetry.log(level, message, { ...more, ...fields }),
  };
}
