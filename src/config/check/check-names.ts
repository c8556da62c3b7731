/** Rules of names: what fallbacks, aliases and `auto_models` point to has to be there. */
import type { FallbackList } from "../../domain/call.ts";
import { withoutPrefix } from "../../domain/model.ts";
import { findNearest } from "../../std/nearest.ts";
import type { Config } from "../config.ts";
import type { Path, Spot } from "../yaml.ts";
import type { Check } from "./rule.ts";

/** The names a call may ask for, wildcards apart. */
export function groupsOf(config: Config): Set<string> {
  return new Set([
    ...config.models.map(({ modelName }) => modelName),
    ...Object.keys(config.router.modelGroupAlias),
    ...Object.keys(config.routeiq.autoModels),
  ]);
}

/** As the resolution order of LiteLLM would find it: group, alias, wildcard, id, underlying model. */
export function reachable(name: string, config: Config, groups: ReadonlySet<string>): boolean {
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

export function checkFallbacks(check: Check): void {
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

export function tellUnreachable(
  name: string,
  at: Spot,
  check: Check,
  groups: ReadonlySet<string>,
): void {
  if (reachable(name, check.config, groups)) return;
  const near = findNearest(name, groups);
  const remedy = near
    ? `Did you mean "${near}"?`
    : "Add a row with that model_name, or remove it here.";
  check.report.warn(at, `no model_name is "${name}"`, remedy);
}

export function checkAliases(check: Check): void {
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

export function checkAutoModels(check: Check): void {
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
