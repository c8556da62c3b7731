/** `routing_strategy_args` of llmrouter-custom to what is started, or to what is wrong with them. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { RoutingStrategyArgs } from "../../config/config.ts";
import type { Deployment } from "../../domain/model.ts";
import { kindOf, moduleLimits } from "./contract.ts";
import type { ModulePlan } from "./live-module.ts";

export const customName = "llmrouter-custom";

const example =
  "Write module_path: ./my-router.ts, a file on this machine that exports score(query); docs/custom-routers.md shows one.";

export function findModuleProblem(
  { module_path: path }: RoutingStrategyArgs,
  exists: (path: string) => boolean,
) {
  const key = "module_path";
  if (typeof path !== "string") {
    const message = `${customName} is a router of your own, and there is no ${key}`;
    return { key, message, remedy: example };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path) && !path.startsWith("file://")) {
    const message = `${path} is no file of this machine`;
    return { key, message, remedy: `A module is never fetched. ${example}` };
  }
  if (!kindOf(path)) {
    const message = `${path} is no .ts, .mts, .js, .mjs, .wasm or .onnx file`;
    const python = /\.(py|pkl|joblib|pt)$/i.test(path)
      ? "Python is not run: write its score() in TypeScript, or export the model as ONNX. "
      : "";
    return { key, message, remedy: `${python}${example}` };
  }
  if (exists(toModulePath(path))) return undefined;
  return { key, message: `${path} does not exist`, remedy: example };
}

/** How long a decision may wait: the module's own time, and the way there and back. */
export function moduleTimeoutMs({ module_timeout_ms: ms }: RoutingStrategyArgs): number {
  return (typeof ms === "number" ? ms : moduleLimits.scoreMs) + wayMs;
}

const wayMs = 50;

export function toModulePath(path: string): string {
  return path.startsWith("file://") ? fileURLToPath(path) : resolve(path);
}

/** A usual call, for the unit of the dial's price. */
const usualTokens = { input: 500, output: 256 } as const;
const defaultLookS = 300;

export function toModulePlan(
  args: RoutingStrategyArgs,
  deployments: readonly Deployment[],
): ModulePlan {
  const { module_models, module_timeout_ms, module_memory_mb } = args;
  const byModel = new Map(
    deployments
      .filter(({ candidate }) => !candidate.includes("*"))
      .map((deployment) => [deployment.candidate, deployment]),
  );
  const costs = [...byModel.values()].flatMap(({ facts: { price } }) =>
    price
      ? [usualTokens.input * price.inputUsdPerToken + usualTokens.output * price.outputUsdPerToken]
      : [],
  );
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / Math.max(1, costs.length);
  return {
    path: toModulePath(String(args["module_path"])),
    models: [...byModel.keys()],
    ...(Array.isArray(module_models) ? { named: module_models as readonly string[] } : {}),
    limits: {
      scoreMs: typeof module_timeout_ms === "number" ? module_timeout_ms : moduleLimits.scoreMs,
      memoryMb: typeof module_memory_mb === "number" ? module_memory_mb : moduleLimits.memoryMb,
    },
    costRefUsd: mean > 0 ? mean : 1,
    lookMs: args.hot_reload === false ? undefined : (args.reload_interval ?? defaultLookS) * 1000,
  };
}
