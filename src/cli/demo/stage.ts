/** The demo's stage: a folder of its own, simulated providers, and a gateway that serves them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Outbound } from "../../security/outbound.ts";
import { sleep, systemClock } from "../../std/clock.ts";
import { type LongProcess, runApart, startSelf } from "./processes.ts";
import type { Prompt } from "./prompts.ts";
import { simulatedModels } from "./simulated-models.ts";
import { createSimulatedProviders, type SimulatedProviders } from "./simulated-providers.ts";

export interface StageOptions {
  readonly seed: number;
  /** All that may be asked: the simulated models and their judge know what each is about. */
  readonly prompts: readonly Prompt[];
  readonly outbound: Outbound;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Where everything is kept; a temporary folder, removed at the end, where missing. */
  readonly folder?: string;
  /** 0: a free one. */
  readonly port: number;
  /** Where routers are published: `s3://…` or a folder; a folder on the stage where missing. */
  readonly repository?: string;
}

export interface Stage {
  readonly folder: string;
  readonly url: string;
  readonly providers: SimulatedProviders;
  readonly gateway: LongProcess;
  readonly repository: string;
  path(name: string): string;
  /** Runs a command of RouteIQ in the folder. @throws Error with what it said when it fails. */
  run(...args: readonly string[]): Promise<string>;
  /** The gateway's readiness as it tells it. */
  readiness(): Promise<Readiness>;
  close(): Promise<void>;
}

export interface Readiness {
  readonly status: string;
  readonly text: string;
}

/** The simulated models run so many times faster than they say; the demo should not take long. */
const demoSpeed = 30;
const startTimeoutMs = 20_000;
export const canaryShare = 0.3;

export async function createStage(options: StageOptions): Promise<Stage> {
  const { seed, prompts, outbound, env, signal } = options;
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "routeiq-demo-"));
  mkdirSync(folder, { recursive: true });
  const path = (name: string) => join(folder, name);
  const repository = options.repository ?? path("repository");
  const byText = new Map(prompts.map((prompt) => [prompt.text, prompt]));
  const promptOf = (text: string) => byText.get(text);
  const providers = createSimulatedProviders({
    seed,
    speed: demoSpeed,
    topicOf: (text) => promptOf(text)?.topic,
    judge: { seed, promptOf },
  });
  const run = async (...args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await runApart(args, { cwd: folder, env, signal });
    if (exitCode === 0) return stdout;
    const said = `${stderr}\n${stdout}`.trim().split("\n").slice(-12).join("\n");
    throw new Error(`routeiq ${args.join(" ")} ended with ${exitCode}:\n${said}`);
  };
  await run("models", "keygen", "--out", path("keys"));
  writeFileSync(path("config.yaml"), toConfig(providers, repository, path("keys")));
  const gateway = startSelf(
    [
      ...["serve", "--config", path("config.yaml"), "--data-dir", path("data")],
      ...["--port", String(options.port)],
    ],
    path("gateway.log"),
    { cwd: folder, env },
  );
  let url = "";
  const readiness = async () => {
    const request = { url: `${url}/_health/ready`, method: "GET", headers: {}, signal };
    const response = await outbound.fetch({ ...request, trust: "operator" });
    const body = (await response.json()) as { status?: string };
    return { status: String(body.status), text: JSON.stringify(body) };
  };
  const close = async () => {
    await gateway.stop();
    await providers.close();
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };
  try {
    url = await waitForUrl(gateway, signal);
    await readiness();
  } catch (error) {
    await close();
    throw error;
  }
  return { folder, url, providers, gateway, repository, path, run, readiness, close };
}

/** A configuration as an operator would write it. */
function toConfig(providers: SimulatedProviders, repository: string, keys: string): string {
  return stringify({
    model_list: providers.entries,
    router_settings: {
      routing_strategy: "llmrouter-knn",
      routing_strategy_args: {
        model_path: repository.includes("://") ? repository : `file://${repository}`,
        model_root: join(keys, "1.root.json"),
        hot_reload: true,
        reload_interval: 1,
        fallback_strategy: "simple-shuffle",
        // As in earnest, with fewer calls to each step.
        rollout: {
          canary: { share: canaryShare, min_calls: 60 },
          health: { max_calls: 150 },
        },
      },
    },
    routeiq_settings: {
      auto_models: { auto: { candidates: simulatedModels.map(({ name }) => name) } },
      // What a judge is to grade has to be there; in earnest this is off until you say so.
      telemetry: { store_prompts: true },
    },
  });
}

/** The address that the gateway says it listens on. @throws Error with its log when it ends. */
async function waitForUrl(gateway: LongProcess, signal: AbortSignal): Promise<string> {
  let ended = false;
  gateway.exited.then(() => {
    ended = true;
  });
  const deadline = performance.now() + startTimeoutMs;
  while (!ended && performance.now() < deadline) {
    const url = / on (http:\/\/\S+)/.exec(gateway.log())?.[1];
    if (url) return url;
    await sleep(systemClock, 20, signal);
  }
  throw new Error(`the demo's gateway did not start:\n${gateway.log()}`);
}
