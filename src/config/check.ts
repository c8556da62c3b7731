/** Rules that span keys, and those that need to know what this binary serves. */
import type { FallbackList } from "../domain/call.ts";
import { toGatewayError } from "../domain/errors.ts";
import { withoutPrefix } from "../domain/model.ts";
import { parseRange } from "../security/address.ts";
import { parseReference } from "../security/secrets.ts";
import { checkUrl } from "../security/ssrf.ts";
import { findNearest, rankNearest } from "../std/nearest.ts";
import { checkExperiments } from "./check-experiments.ts";
import type { Config, RoutingStrategyArgs } from "./config.ts";
import type { Loaded } from "./load.ts";
import { createReport, type Report } from "./report.ts";
import type { Path, Spot } from "./yaml.ts";

/** What the registries serve, handed in by those who know them. */
export interface KnownNames {
  /** Learned strategies: `llmrouter-knn` … */
  readonly strategies: readonly string[];
  /** Of these, the ones that need no trained router. */
  readonly untrained?: readonly string[];
  /** Of those, the ones that take a trained router where `model_path` names one. */
  readonly maybeTrained?: readonly string[];
  /** What decides for a learned strategy while it has no trained router, in words. */
  readonly untrainedChoice?: (strategy: string, args: RoutingStrategyArgs) => string;
  /** Balancers, aliases included. */
  readonly balancers: readonly string[];
  /** The strategy that takes another as `inner_strategy`, and what that may be. */
  readonly nesting?: { readonly name: string; readonly inner: readonly string[] };
  /** The predecessor's strategies that are not served yet. */
  readonly notServed: readonly string[];
  /**
   * What keeps a strategy from working as its options say: the key, and the way out. `serves`: whether
   * a name leads to a model, as far as is known.
   */
  readonly findProblem?: (
    strategy: string,
    args: RoutingStrategyArgs,
    is: {
      readonly serves: (name: string) => boolean;
      /** Whether a local path is there; true where nobody can look. */
      readonly exists: (path: string) => boolean;
    },
  ) => { readonly key: string; readonly message: string; readonly remedy: string } | undefined;
}

export interface CheckOptions {
  readonly known: KnownNames;
  /** Whether a local path exists; without it paths are not looked at. */
  readonly exists?: (path: string) => boolean;
}

/** All findings of a loaded configuration: those of loading, then those of these rules. */
export function checkConfig(loaded: Loaded, options: CheckOptions): Loaded {
  const { config, spot } = loaded;
  if (!config) return loaded;
  const report = createReport();
  report.add(...loaded.findings);
  const check = { config, report, spot, ...options };
  checkModels(check);
  checkStrategy(check);
  checkShadow(check);
  checkExperiments(check);
  checkFallbacks(check);
  checkAliases(check);
  checkAutoModels(check);
  checkEmbedding(check);
  checkAddresses(check);
  checkMasterKey(check);
  const refused = report.findings.some(({ level }) => level === "error");
  return { ...loaded, config: refused ? undefined : config, findings: report.findings };
}

export interface Check extends CheckOptions {
  readonly config: Config;
  readonly report: Report;
  readonly spot: (path: Path) => Spot;
}

function checkModels({ config, report, spot }: Check): void {
  if (config.models.length === 0 && config.origin === "file") {
    const remedy = "Add a row: {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o}}.";
    report.warn(spot(["model_list"]), "no models are configured, so every call is refused", remedy);
  }
  const ids = new Map<string, number>();
  const rows = new Map<string, number>();
  config.models.forEach((model, index) => {
    const id = model.info["id"];
    const same = JSON.stringify([model.modelName, model.params, id]);
    const twin = rows.get(same);
    if (twin !== undefined) {
      const message = `the same as row ${twin}: "${model.modelName}" stands here twice`;
      report.warn(spot(["model_list", index]), message, "Remove one of the two.");
    }
    rows.set(same, index);
    if (typeof id !== "string") return;
    const holder = ids.get(id);
    if (holder !== undefined && twin === undefined) {
      const message = `model_info.id "${id}" is row ${holder}'s already`;
      report.refuse(
        spot(["model_list", index, "model_info", "id"]),
        message,
        "Ids name one deployment each.",
      );
    }
    ids.set(id, index);
  });
}

function checkStrategy(check: Check): void {
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
function checkShadow({ config, report, spot }: Check): void {
  if (!config.router.routingStrategyArgs.rollout?.shadow || config.routeiq.telemetry.events) return;
  report.warn(
    spot(["router_settings", "routing_strategy_args", "rollout", "shadow"]),
    "without the event log nothing can be scored in the shadow, so this step is left out",
    "Set routeiq_settings.telemetry.events: true, or remove `shadow`.",
  );
}

/** Starts all the same, on the static strategy; so it is a warning, with the way out. */
function checkTrainedRouter({ config, report, spot, known, exists }: Check, name: string): void {
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
  const local = localPath(path);
  if (local !== undefined && exists && !exists(local)) {
    report.warn(where, `${path} does not exist yet; ${balancer} serves until then`, steps);
  } else if (args.model_root === undefined && args.allow_unsigned_local !== true) {
    const message = `without model_root no router of ${path} can be verified; ${balancer} serves until then`;
    const remedy =
      "Write model_root: sha256:<hex of 1.root.json>, as `routeiq models keygen` printed it.";
    report.warn(where, message, remedy);
  }
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

/** The names a call may ask for, wildcards apart. */
function groupsOf(config: Config): Set<string> {
  return new Set([
    ...config.models.map(({ modelName }) => modelName),
    ...Object.keys(config.router.modelGroupAlias),
    ...Object.keys(config.routeiq.autoModels),
  ]);
}

/** As the resolution order of LiteLLM would find it: group, alias, wildcard, id, underlying model. */
function reachable(name: string, config: Config, groups: ReadonlySet<string>): boolean {
  if (groups.has(name)) return true;
  return config.models.some(({ modelName, params, info }) => {
    if (info["id"] === name || params.model === name || withoutPrefix(params.model) === name)
      return true;
    return modelName.includes("*") && matches(modelName, name);
  });
}

function matches(pattern: string, name: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${source.join("(.*)")}`).test(name);
}

function checkFallbacks(check: Check): void {
  const { config, spot } = check;
  const groups = groupsOf(config);
  const lists: readonly (readonly [string, FallbackList])[] = [
    ["fallbacks", config.router.fallbacks],
    ["context_window_fallbacks", config.router.contextWindowFallbacks],
    ["content_policy_fallbacks", config.router.contentPolicyFallbacks],
  ];
  for (const [key, list] of lists) {
    const section = spot(["router_settings", key]);
    const inRouter =
      section.source.lineOf(section.path) !== section.source.lineOf(["router_settings"]);
    const base: Path = [inRouter ? "router_settings" : "litellm_settings", key];
    list.forEach((entry, index) => {
      for (const [group, targets] of Object.entries(entry)) {
        const at = spot([...base, index, group]);
        if (group !== "*") tellUnreachable(group, at, check, groups);
        targets.forEach((target, position) => {
          const name = typeof target === "string" ? target : String(target["model"] ?? "");
          tellUnreachable(name, spot([...base, index, group, position]), check, groups);
        });
      }
    });
  }
  for (const name of config.router.defaultFallbacks) {
    tellUnreachable(name, spot(["router_settings", "default_fallbacks"]), check, groups);
  }
}

function tellUnreachable(name: string, at: Spot, check: Check, groups: ReadonlySet<string>): void {
  if (reachable(name, check.config, groups)) return;
  const near = findNearest(name, groups);
  const remedy = near
    ? `Did you mean "${near}"?`
    : "Add a row with that model_name, or remove it here.";
  check.report.warn(at, `no model_name is "${name}"`, remedy);
}

function checkAliases(check: Check): void {
  const { config, report, spot } = check;
  const aliases = config.router.modelGroupAlias;
  const groups = new Set(config.models.map(({ modelName }) => modelName));
  for (const [alias, { model }] of Object.entries(aliases)) {
    const at = spot(["router_settings", "model_group_alias", alias]);
    const seen = new Set([alias]);
    let target = model;
    while (aliases[target] && !groups.has(target) && !seen.has(target)) {
      seen.add(target);
      target = aliases[target]?.model ?? "";
    }
    if (seen.has(target) && !groups.has(target)) {
      report.refuse(
        at,
        `the alias leads back to itself: ${[...seen, target].join(" → ")}`,
        "Point it at a group.",
      );
    } else tellUnreachable(target, at, check, groupsOf(config));
  }
}

function checkAutoModels(check: Check): void {
  const { config, report, spot } = check;
  const groups = new Set(config.models.map(({ modelName }) => modelName));
  for (const [name, { candidates }] of Object.entries(config.routeiq.autoModels)) {
    const at: Path = ["routeiq_settings", "auto_models", name];
    if (groups.has(name) && name !== "auto") {
      report.warn(
        spot(at),
        `"${name}" is a model_name as well; the model answers`,
        "Rename one of the two.",
      );
    }
    candidates?.forEach((candidate, index) => {
      tellUnreachable(candidate, spot([...at, "candidates", index]), check, groups);
    });
  }
}

/** A decision that cannot be made is refused now, not at the first call. */
function checkEmbedding({ config, report, spot }: Check): void {
  const { model, onnxPath } = config.routeiq.embedding;
  if (!model) return;
  const at = (key: string) => spot(["routeiq_settings", "embedding", key]);
  if (onnxPath !== undefined) {
    const message = "both a model and an onnx_path are named; queries have one embedder";
    report.refuse(at("model"), message, "Remove one of the two.");
  }
  if (model.dimensions === 0) {
    const message = `how long the vectors of "${model.name}" are is not said`;
    report.refuse(at("model"), message, "Write dimensions: 768 (or what it is) beside it.");
  }
  const names = config.models.map(({ modelName }) => modelName);
  if (names.includes(model.name) || names.some((name) => name.includes("*"))) return;
  report.refuse(
    at("model"),
    `"${model.name}" is no model_name, so no query could be embedded`,
    "Add a row for it to model_list, with model_info: {mode: embedding}.",
  );
}

const noRules = { ranges: [], hosts: [] };

/** What stands in the file may be private; it must be an address, and never a metadata service. */
function checkAddresses({ config, report, spot }: Check): void {
  const refuse = (text: unknown, path: Path, remedy: string) => {
    if (typeof text !== "string") return;
    try {
      checkUrl(text, "operator", noRules);
    } catch (thrown) {
      report.refuse(spot(path), toGatewayError(thrown).message, remedy);
    }
  };
  config.models.forEach(({ params }, index) => {
    for (const key of ["api_base", "base_url"]) {
      const remedy = "Write the provider's base URL: https://host/v1.";
      refuse(params[key], ["model_list", index, "litellm_params", key], remedy);
    }
  });
  for (const { name, url, openapi } of config.mcpServers) {
    if (openapi && !openapi.isFile) {
      const remedy = "Write the document's URL: https://host/openapi.json.";
      refuse(openapi.source, ["mcp_servers", name, "openapi"], remedy);
    }
    refuse(url, ["mcp_servers", name, "url"], "Write the server's URL: https://host/mcp.");
  }
  const { oauth, publicUrl } = config.routeiq.mcp;
  oauth.forEach(({ issuer, audiences, jwksUrl, introspectionUrl }, index) => {
    const at: Path = ["routeiq_settings", "mcp", "oauth", index];
    const remedy = "Write an address: https://login.example.";
    refuse(issuer, [...at, "issuer"], remedy);
    refuse(jwksUrl, [...at, "jwks_url"], remedy);
    refuse(introspectionUrl, [...at, "introspection_url"], remedy);
    if (audiences !== undefined || publicUrl !== undefined) return;
    const message = "nothing says what this issuer's tokens must be made for";
    report.refuse(spot(at), message, "Write routeiq_settings.mcp.public_url, or audience here.");
  });
  const { telemetry, outbound, corsOrigins } = config.routeiq;
  const otlp: Path = ["routeiq_settings", "telemetry", "otlp_endpoint"];
  refuse(telemetry.otlpEndpoint, otlp, "Write the collector's URL: http://host:4318.");
  outbound.allowCidrs.forEach((cidr, index) => {
    if (parseRange(cidr)) return;
    const at = spot(["routeiq_settings", "outbound", "allow_cidrs", index]);
    report.refuse(at, `"${cidr}" is no address range`, "Write one such as 10.1.0.0/16.");
  });
  corsOrigins.forEach((origin, index) => {
    if (origin === "*" || (URL.canParse(origin) && new URL(origin).origin === origin)) return;
    const at = spot(["routeiq_settings", "cors_origins", index]);
    const meant = URL.canParse(origin) ? new URL(origin).origin : "null";
    const remedy = meant === "null" ? "Write one such as https://app.example." : `Write ${meant}.`;
    report.refuse(at, `"${origin}" is no origin, so no page could match it`, remedy);
  });
}

const weakKeys: ReadonlySet<string> = new Set([
  "sk-1234",
  "sk-12345",
  "sk-123456",
  "sk-test",
  "changeme",
  "password",
]);
const weakKeyLength = 12;

function checkMasterKey({ config, report, spot }: Check): void {
  const { masterKey } = config.general;
  if (masterKey === undefined) return;
  if (!weakKeys.has(masterKey) && masterKey.length >= weakKeyLength) return;
  const remedy = 'Make one: echo "sk-$(openssl rand -hex 24)".';
  report.warn(spot(["general_settings", "master_key"]), "the master key is easy to guess", remedy);
}

/**
 * The rule of who may listen where: without a master key every caller is administrator, which is
 * for this machine alone. Returns the refusal's message, or undefined where the bind is in order.
 */
export function refuseOpenBind(config: Config, host: string): string | undefined {
  if (config.general.masterKey !== undefined || isLoopback(host)) return undefined;
  return (
    `No master key is set, so RouteIQ does not listen on ${host}, where others could reach it. ` +
    "Set LITELLM_MASTER_KEY (or general_settings.master_key), or listen on 127.0.0.1."
  );
}

/** `localhost`, 127.0.0.0/8 and ::1, as a host to listen on. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || /^127(\.\d{1,3}){3}$/.test(bare);
}
