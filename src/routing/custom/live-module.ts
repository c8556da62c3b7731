/**
 * The module of a running gateway: started, tested, put into the slot; started again when it ends,
 * with ever longer pauses, while routing is static and says so; replaced when its file changes.
 */
import { statSync } from "node:fs";
import { basename } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import type { FeatureExtractor } from "../../embedding/embedder.ts";
import type { Clock } from "../../std/clock.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { SwappableSlot } from "../slot.ts";
import { ModuleRefused, type ModuleSettings } from "./contract.ts";
import { type ModuleProcess, type ProcessLimits, startModuleProcess } from "./module-process.ts";
import { assertSound, checkModule, createModuleRouter } from "./module-router.ts";

export interface ModulePlan extends ModuleSettings {
  readonly limits: ProcessLimits;
  readonly costRefUsd: number;
  /** How often the file is looked at; undefined: never. */
  readonly lookMs: number | undefined;
}

export interface LiveModuleOptions {
  readonly slot: SwappableSlot;
  readonly extractor: () => Promise<FeatureExtractor>;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** A test's own; else a process. */
  readonly start?: typeof startModuleProcess;
}

export interface LiveModule {
  /**
   * Undefined: no module. Resolves when it is in force, or failed in a way that another try may mend.
   * @throws GatewayError strategy_refused for a module that breaks the contract; nothing has changed then.
   */
  follow(plan: ModulePlan | undefined): Promise<void>;
  /** Starts it anew from its file. */
  reload(): Promise<void>;
  close(): void;
}

const firstRestMs = 200;
const longestRestMs = 30_000;
/** A module that ran so long before it ended is started again as if it were the first time. */
const steadyMs = 60_000;

export function createLiveModule(options: LiveModuleOptions): LiveModule {
  const { slot, clock, telemetry } = options;
  const start = options.start ?? startModuleProcess;
  let plan: ModulePlan | undefined;
  let running: ModuleProcess | undefined;
  let deaths = 0;
  let startedAtMs = 0;
  let stopWaiting: () => void = () => undefined;
  let stopLooking: () => void = () => undefined;

  /** A process that has passed its test, and the router over it. @throws ModuleRefused, Error */
  async function prepare(wanted: ModulePlan) {
    const process = await start({
      settings: wanted,
      limits: wanted.limits,
      clock,
      onLine: (line) => telemetry.log("info", "the router module wrote", { line }),
    });
    try {
      const extractor = await options.extractor();
      const checked = await checkModule(process, extractor, clock.monotonicUs);
      assertSound(checked);
      const sha256 = new Bun.CryptoHasher("sha256")
        .update(await Bun.file(wanted.path).bytes())
        .digest("hex");
      const name = basename(wanted.path).replace(/[^A-Za-z0-9._-]/g, "_");
      const { costRefUsd } = wanted;
      const router = createModuleRouter({
        module: process,
        extractor,
        name,
        sha256,
        costRefUsd,
        checked,
      });
      return { process, router, name };
    } catch (thrown) {
      process.kill("it failed its test");
      throw thrown;
    }
  }

  function put({ process, router, name }: Awaited<ReturnType<typeof prepare>>): void {
    const old = running;
    running = process;
    startedAtMs = clock.now();
    slot.swap(router, { status: "active", name, version: 0 });
    telemetry.log("info", "the router module is in force", { module: name, pid: process.pid });
    old?.kill("another one took its place");
    void process.ended.then((why) => {
      if (running !== process) return;
      running = undefined;
      if (clock.now() - startedAtMs > steadyMs) deaths = 0;
      rest(why);
    });
  }

  /** Static routing, in plain sight, and another start after a pause. */
  function rest(why: string): void {
    const wanted = plan;
    if (!wanted) return;
    const restMs = Math.min(longestRestMs, firstRestMs * 2 ** Math.min(deaths, 20));
    deaths++;
    const remedy = `${basename(wanted.path)}: ${why}. Routing is static until it runs again; it is started again in ${restMs / 1000} s. To see what it answers: routeiq models check-custom FILE`;
    slot.swap(undefined, { status: "refused", code: "module", remedy });
    telemetry.log("error", "the router module is not running; routing is static", {
      module: wanted.path,
      why,
      restMs,
    });
    stopWaiting();
    stopWaiting = clock.after(restMs, () => {
      prepare(wanted).then(
        (made) => (plan === wanted ? put(made) : made.process.kill("it is not wanted any more")),
        (thrown: unknown) => {
          if (plan === wanted) rest(messageOf(thrown));
        },
      );
    });
  }

  async function begin(wanted: ModulePlan): Promise<void> {
    let made: Awaited<ReturnType<typeof prepare>>;
    try {
      made = await prepare(wanted);
    } catch (thrown) {
      if (thrown instanceof ModuleRefused) throw toRefusal(wanted, thrown);
      plan = wanted;
      rest(messageOf(thrown));
      return;
    }
    plan = wanted;
    deaths = 0;
    stopWaiting();
    put(made);
  }

  function stop(): void {
    plan = undefined;
    stopWaiting();
    stopLooking();
    const old = running;
    running = undefined;
    old?.kill("the gateway has done with it");
  }

  /** A changed file that is no good leaves the old one in force. */
  function look(wanted: ModulePlan, seen: string): void {
    if (wanted.lookMs === undefined) return;
    stopLooking = clock.after(wanted.lookMs, () => {
      if (plan !== wanted) return;
      const now = fingerprint(wanted.path);
      if (now === seen || now === "") return look(wanted, seen);
      begin(wanted)
        .catch((thrown: unknown) => {
          telemetry.log("error", "the router module's new file is refused; the old one serves on", {
            error: thrown,
          });
        })
        .finally(() => plan === wanted && look(wanted, now));
    });
  }

  return {
    async follow(next) {
      if (!next) {
        if (plan) {
          stop();
          slot.swap(undefined, { status: "none" });
        }
        return;
      }
      if (plan && same(plan, next)) return;
      const seen = fingerprint(next.path);
      await begin(next);
      stopLooking();
      look(next, seen);
    },
    async reload() {
      if (plan) await begin(plan);
    },
    close: stop,
  };
}

const same = (a: ModulePlan, b: ModulePlan) => JSON.stringify(a) === JSON.stringify(b);

function fingerprint(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return ""; // it is being replaced, or gone; what runs has been read
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function toRefusal({ path }: ModulePlan, cause: ModuleRefused): GatewayError {
  return new GatewayError(
    "strategy_refused",
    `llmrouter-custom cannot use ${path}: ${cause.message}. See what it answers: routeiq models check-custom ${path}`,
    { cause },
  );
}
