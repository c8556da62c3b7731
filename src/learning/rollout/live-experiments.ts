/** Experiments of a running gateway: their state on the disk, and variants' own trained routers. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config, ExperimentConfig, VariantConfig } from "../../config/config.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { createSlot, type RouterSlot, type SwappableSlot } from "../../routing/slot.ts";
import type { Clock } from "../../std/clock.ts";
import { nextInt, type Random } from "../../std/random.ts";
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
  /** Keeps this process's figures where all read, and gives the others'. */
  readonly exchange: (
    state: JsonObject,
    member: string,
    address: string,
  ) => Promise<readonly JsonObject[]>;
  /** Which of the processes that share a folder this is; "" for the only one. */
  readonly worker: string;
  readonly random: Random;
}

const fileName = "experiments.json";
/** Also how old the others' figures may be. */
const saveEveryMs = 30_000;
/** Where the processes of one folder meet; gateways of a fleet are told another place. */
const sharedFolder = "experiment-figures";

interface OwnRouter {
  readonly slot: SwappableSlot;
  readonly live: LiveRouter;
}

export function createLiveExperiments(options: LiveExperimentsOptions): LiveExperiments {
  const { clock, telemetry, dataDir } = options;
  const path = join(dataDir, options.worker ? `experiments-${options.worker}.json` : fileName);
  const own = new Map<string, OwnRouter>();
  let member = "";
  /** Where figures are shared; undefined where this is the only process. */
  let shared: string | undefined;
  let cancelSave: (() => void) | undefined;
  const saver = createSaver<JsonObject>(
    async (state) => {
      await writeFileAtomic(path, new TextEncoder().encode(JSON.stringify({ member, state })));
      if (shared === undefined) return;
      const others = await options.exchange(state, member, shared);
      experiments.join(others);
    },
    (error) => telemetry.log("error", "the state of experiments cannot be kept", { path, error }),
  );
  const experiments = createExperiments({ clock, telemetry, onChange: save });

  function save(): void {
    if (member) saver.save(experiments.save());
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
      const before = member;
      if (!member && configs.length > 0) {
        const kept = await readState(path);
        experiments.restore(isObject(kept?.["state"]) ? kept["state"] : undefined);
        member = textOf(kept?.["member"]) ?? newMember(options.random);
        saveLater();
      }
      const folder = options.worker ? join(dataDir, sharedFolder) : undefined;
      shared = config.routeiq.experimentFigures ?? folder;
      experiments.follow(configs, toRolloutPlan(config.router.routingStrategyArgs.rollout).health);
      if (member !== before) save();
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

const textOf = (value: unknown) => (typeof value === "string" && value ? value : undefined);

/** Never the same twice: figures of two processes under one name would replace one another. */
const newMember = (random: Random) =>
  Array.from({ length: 4 }, () =>
    nextInt(random, 2 ** 32)
      .toString(16)
      .padStart(8, "0"),
  ).join("");

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
