/** Rules of `router_settings.routing_strategy` and its arguments, and of the router that they name. */
import { parseReference } from "../../security/secrets.ts";
import { rankNearest } from "../../std/nearest.ts";
import { groupsOf, reachable } from "./check-names.ts";
import { findPlaceProblem } from "./check-places.ts";
import type { Check } from "./rule.ts";

export function checkStrategy(check: Check): void {
  const { config, report, spot, known } = check;
  const { routingStrategy: name, routingStrategyArgs: args } = config.router;
  const at = spot(["router_settings", "routing_strategy"]);
  const all = [...new Set([...known.balancers, ...known.strategies])];
  checkInner(check);
  const inner = args.inner_strategy ?? args.inner_strategy_name;
  const trained = known.nesting?.name === name && inner !== undefined ? inner : name;
  if (known.strategies.includes(trained)) {
    checkTrainedRouter(check, trained);
    const groups = groupsOf(config);
    const problem = known.findProblem?.(trained, args, {
      serves: (group) => reachable(group, config, groups),
      exists: check.exists ?? (() => true),
    });
    if (problem) {
      const where = spot(["router_settings", "routing_strategy_args", problem.key]);
      report.refuse(where, problem.message, problem.remedy);
    }
  } else if (known.notServed.includes(name)) {
    const remedy = `Use one of: ${known.strategies.join(", ")}.`;
    report.refuse(at, `the strategy "${name}" is not served by this version of RouteIQ`, remedy);
  } else if (!known.balancers.includes(name)) {
    const near = rankNearest(name, all, 3);
    const remedy = `Nearest: ${near.join(", ")}. All: ${all.join(", ")}.`;
    report.refuse(at, `unknown routing_strategy "${name}"`, remedy);
  }
  for (const key of ["balancer", "fallback_strategy"] as const) {
    const balancer = args[key];
    if (balancer === undefined || known.balancers.includes(balancer)) continue;
    const where = spot(["router_settings", "routing_strategy_args", key]);
    const remedy = `Use one of: ${known.balancers.join(", ")}.`;
    report.refuse(where, `"${balancer}" is no balancer`, remedy);
  }
}

function checkInner({ config, report, spot, known }: Check): void {
  const { routingStrategy: name, routingStrategyArgs: args } = config.router;
  const inner = args.inner_strategy ?? args.inner_strategy_name;
  if (inner === undefined || known.nesting?.name !== name) return;
  const may = known.nesting.inner.filter((one) => one !== name);
  if (may.includes(inner)) return;
  const key = args.inner_strategy === undefined ? "inner_strategy_name" : "inner_strategy";
  const remedy = `Nearest: ${rankNearest(inner, may, 3).join(", ")}. Without one every model counts alike.`;
  const where = spot(["router_settings", "routing_strategy_args", key]);
  report.refuse(where, `"${inner}" cannot be the inner strategy of ${name}`, remedy);
}

/** Decisions are scored again as their events pass; without events there is nothing to score. */
export function checkShadow({ config, report, spot }: Check): void {
  if (!config.router.routingStrategyArgs.rollout?.shadow || config.routeiq.telemetry.events) return;
  report.warn(
    spot(["router_settings", "routing_strategy_args", "rollout", "shadow"]),
    "without the event log nothing can be scored in the shadow, so this step is left out",
    "Set routeiq_settings.telemetry.events: true, or remove `shadow`.",
  );
}

/** Starts all the same, on the static strategy; so it is a warning, with the way out. */
function checkTrainedRouter(check: Check, name: string): void {
  const { config, report, spot, known, exists } = check;
  const { routingStrategyArgs: args } = config.router;
  const trained = args.model_path !== undefined && known.maybeTrained?.includes(name);
  if (known.untrained?.includes(name) && !trained) return;
  const fallback = args.fallback_strategy ?? "simple-shuffle";
  const balancer = known.untrainedChoice?.(name, args) ?? fallback;
  const path = args.model_path;
  const steps = trainingSteps(name, config.models[0]?.modelName ?? "auto");
  const where = spot(["router_settings", "routing_strategy_args", "model_path"]);
  if (path === undefined) {
    const message = `${name} needs a trained router and there is no model_path; ${balancer} serves until then`;
    report.warn(where, message, steps);
    return;
  }
  if (/\.(pkl|pickle|pth?|joblib)$/i.test(path)) {
    if (config.router.importsPickles) return; // read as data; readiness says how that went
    const message = `${path} is a pickle, which RouteIQ never loads; ${balancer} serves until there is a router`;
    const convert = `Convert it: routeiq models import ${path} --embedder DIR --out ./router.`;
    report.warn(where, message, `${convert} Or ${steps[0]?.toLowerCase()}${steps.slice(1)}`);
    return;
  }
  const problem = findPlaceProblem(path);
  if (problem !== undefined) {
    const remedy = "Write the repository's folder, file:///… or s3://bucket/prefix.";
    report.warn(where, `${problem}; ${balancer} serves until then`, remedy);
    return;
  }
  const local = localPath(path);
  if (local !== undefined && exists && !exists(local)) {
    report.warn(where, `${path} does not exist yet; ${balancer} serves until then`, steps);
  } else if (args.model_root === undefined && args.allow_unsigned_local !== true) {
    const message = `without model_root no router of ${path} can be verified; ${balancer} serves until then`;
    const remedy =
      "Write model_root: sha256:<hex of 1.root.json>, as `routeiq models keygen` printed it.";
    report.warn(where, message, remedy);
  }
  checkRoot(check, balancer);
}

/** What a gateway trusts: the root's hash, or its file. */
function checkRoot({ config, report, spot, exists }: Check, balancer: string): void {
  const { model_root: root } = config.router.routingStrategyArgs;
  if (root === undefined) return;
  const isHash = root.startsWith("sha256:");
  if (isHash ? /^sha256:[0-9a-f]{64}$/i.test(root) : !exists || exists(localPath(root) ?? root)) {
    return;
  }
  const why = isHash ? "is no SHA-256 in hex" : "does not exist";
  report.warn(
    spot(["router_settings", "routing_strategy_args", "model_root"]),
    `${root} ${why}, so nothing can be verified; ${balancer} serves until then`,
    "Write sha256: and 64 hex digits, as `routeiq models keygen` printed them, or the path of 1.root.json.",
  );
}

function trainingSteps(strategy: string, model: string): string {
  return (
    `Train one from what the gateway has seen: routeiq train --events ./.routeiq --strategy ${strategy} ` +
    "--out ./router, or from data files: --data train.jsonl. Sign and publish it (routeiq models keygen, " +
    "sign, publish), then set model_path to that repository and model_root to its root. " +
    `Calls to "${model}" are answered meanwhile.`
  );
}

function localPath(path: string): string | undefined {
  const reference = parseReference(path);
  if (reference?.kind === "file") return reference.path;
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(path) ? undefined : path;
}
