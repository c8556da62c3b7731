/**
 * What a requested name stands for. Order, as LiteLLM resolves: deployment id, alias, exact group,
 * automatic, wildcard group (longest pattern first, captured parts put into the target), `*`, the
 * rows of that underlying model, and where there are wildcards at all, the first default fallback.
 */
import { type Deployment, isFor, type Operation } from "../domain/model.ts";
import { createLru } from "../std/lru.ts";

export interface ModelGroup {
  /** What callers ask for. */
  readonly name: string;
  readonly deployments: readonly Deployment[];
}

export interface Resolution {
  readonly kind: "deployment" | "group" | "auto";
  /** The group's name for headers, fallbacks and metrics; for `auto` the name asked for. */
  readonly group: string;
  readonly deployments: readonly Deployment[];
}

export interface ResolveTable {
  /**
   * With the deployments that serve the operation; none, where the operator's `mode` says that all
   * of them are for something else. Without an operation: all.
   */
  find(name: string, operation?: Operation): Resolution | undefined;
  /** Every group without wildcards, in configured order: `/v1/models`. */
  readonly groups: readonly ModelGroup[];
  readonly autoNames: readonly string[];
  /** Every name that `find` answers to without wildcards, hidden aliases apart. */
  readonly names: readonly string[];
  readonly deployments: readonly Deployment[];
  /** Why a configured name answers nothing; undefined for names that do, or that nobody configured. */
  reasonOff(name: string): string | undefined;
  /** Rows that are configured and not served. */
  readonly off: readonly OffRow[];
}

/** A row of the configuration that is turned off. */
export interface OffRow {
  readonly group: string;
  readonly model: string;
  readonly message: string;
}

export interface ResolveSettings {
  readonly deployments: readonly Deployment[];
  readonly aliases: Readonly<Record<string, { readonly model: string; readonly hidden: boolean }>>;
  readonly autoModels: Readonly<Record<string, { readonly candidates?: readonly string[] }>>;
  /** Facts (price, window, capabilities) of a model that a wildcard row leads to. */
  readonly factsOf: (deployment: Deployment) => Deployment["facts"];
  readonly off?: readonly OffRow[];
  readonly defaultFallbacks?: readonly string[];
}

interface Pattern {
  readonly name: string;
  readonly expression: RegExp;
  readonly deployments: readonly Deployment[];
}

/** Names that wildcard rows have been asked for; the rest are derived anew. */
const derivedLimit = 1024;

export function createResolveTable(settings: ResolveSettings): ResolveTable {
  const { deployments, aliases, autoModels, factsOf, off = [], defaultFallbacks = [] } = settings;
  const byGroup = Map.groupBy(deployments, ({ group }) => group);
  const byId = new Map(deployments.map((deployment) => [deployment.id, deployment]));
  const byModel = Map.groupBy(deployments, ({ candidate }) => candidate);
  const exact = new Map<string, Resolution>();
  const patterns: Pattern[] = [];
  for (const [group, members] of byGroup) {
    if (group.includes("*")) patterns.push(toPattern(group, members));
    else exact.set(group, { kind: "group", group, deployments: members });
  }
  const anyName = patterns.length > 0;
  // A name that is turned off is not handed to a wider wildcard.
  for (const { group } of off) {
    if (group.includes("*") && !byGroup.has(group)) patterns.push(toPattern(group, []));
  }
  patterns.sort((a, b) => b.name.length - a.name.length || stars(a.name) - stars(b.name));
  const derived = createLru<string, Resolution>(derivedLimit);
  /** By name and operation: few, and always the same object, so that what is kept of it stays. */
  const automatic = new Map<string, Resolution | undefined>();
  const fitted = new WeakMap<Resolution, Map<Operation, Resolution>>();

  function findAuto(name: string, operation?: Operation): Resolution | undefined {
    if (!Object.hasOwn(autoModels, name)) return undefined;
    const key = `${operation ?? ""} ${name}`;
    if (!automatic.has(key)) automatic.set(key, gather(name, operation));
    return automatic.get(key);
  }

  function fit(found: Resolution, operation: Operation): Resolution {
    if (found.deployments.every((deployment) => isFor(deployment, operation))) return found;
    let known = fitted.get(found);
    if (!known) {
      known = new Map();
      fitted.set(found, known);
    }
    let one = known.get(operation);
    if (one) return one;
    one = toFit(found, operation);
    known.set(operation, one);
    return one;
  }

  function gather(name: string, operation: Operation = "chat"): Resolution | undefined {
    const auto = Object.hasOwn(autoModels, name) ? autoModels[name] : undefined;
    if (!auto) return undefined;
    const wanted = auto.candidates ?? [...exact.keys()];
    const members = wanted.flatMap((group) => exact.get(group)?.deployments ?? []);
    // Completions and responses are carried over chat.
    const carried = operation === "completion" || operation === "responses";
    const kind = carried ? "chat" : operation;
    const able = members.filter((deployment) => deployment.operation === kind);
    return able.length > 0 ? { kind: "auto", group: name, deployments: able } : undefined;
  }

  function findWildcard(name: string): Resolution | undefined {
    const known = derived.get(name);
    if (known) return known;
    for (const pattern of patterns) {
      const match = pattern.expression.exec(name);
      if (!match) continue;
      if (pattern.deployments.length === 0) return undefined;
      const members = pattern.deployments.map((row) => derive(row, name, match.slice(1), factsOf));
      const found: Resolution = { kind: "group", group: name, deployments: members };
      derived.set(name, found);
      return found;
    }
    return undefined;
  }

  function find(name: string, operation?: Operation): Resolution | undefined {
    const found = findAny(name, operation);
    return found && operation ? fit(found, operation) : found;
  }

  function findAny(name: string, operation?: Operation): Resolution | undefined {
    const hit = exact.get(name);
    const alias = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
    if (hit && !alias && !byId.has(name)) return hit;
    const own = byId.get(name);
    if (own) return { kind: "deployment", group: own.group, deployments: [own] };
    // An alias leads to a group once: an alias of an alias would make loops possible.
    const target = alias?.model ?? name;
    return (
      exact.get(target) ??
      findAuto(target, operation) ??
      findWildcard(target) ??
      findModel(target) ??
      findDefault()
    );
  }

  /** A row's own words for its model: what it is called by who reads the provider's list. */
  function findModel(name: string): Resolution | undefined {
    const members = name.includes("*") ? undefined : byModel.get(name);
    return members && { kind: "group", group: name, deployments: members };
  }

  /** LiteLLM refuses unknown names, but not where a wildcard makes every name possible. */
  function findDefault(): Resolution | undefined {
    const [first] = defaultFallbacks;
    return !anyName || first === undefined ? undefined : exact.get(first);
  }

  const shown = Object.entries(aliases).filter(([, { hidden }]) => !hidden);
  const autoNames = Object.keys(autoModels).filter((name) => !exact.has(name));
  return {
    find,
    groups: [...byGroup].map(([name, members]) => ({ name, deployments: members })),
    autoNames,
    names: [...new Set([...exact.keys(), ...shown.map(([name]) => name), ...autoNames])],
    deployments,
    off,
    reasonOff(name) {
      const target = (Object.hasOwn(aliases, name) ? aliases[name]?.model : undefined) ?? name;
      return off.find(
        ({ group, model }) => toPattern(group, []).expression.test(target) || model === target,
      )?.message;
    },
  };
}

/**
 * The deployments meant for an operation. Where the catalog knows of none its word is set aside (it
 * may be out of date, and the provider knows best); the operator's word holds.
 */
function toFit(found: Resolution, operation: Operation): Resolution {
  const { deployments } = found;
  const meant = deployments.filter((deployment) => isFor(deployment, operation));
  const open = deployments.filter(({ operationFrom }) => operationFrom !== "operator");
  return { ...found, deployments: meant.length > 0 ? meant : open };
}

const stars = (name: string) => name.split("*").length - 1;

/** LiteLLM anchors a pattern at its start alone; `openai/*` ends in a star, so it makes no odds. */
function toPattern(name: string, deployments: readonly Deployment[]): Pattern {
  const source = name.split("*").map(RegExp.escape).join("(.*)");
  return { name, expression: new RegExp(`^${source}`, "s"), deployments };
}

/** The row with what the stars caught put into its target; a target without stars stays. */
function derive(
  row: Deployment,
  requested: string,
  captured: readonly string[],
  factsOf: ResolveSettings["factsOf"],
): Deployment {
  const wanted = stars(row.candidate);
  // As in LiteLLM `*` itself never rests: it is the way to all models, and one failed.
  const shared = { ...row, wildcard: true, ...(row.group === "*" ? { cooldownS: 0 } : {}) };
  if (wanted === 0) return { ...shared, group: requested };
  const parts = captured.length > wanted ? [requested] : captured;
  const candidate = fill(row.candidate, parts);
  const upstreamModel = fill(row.upstreamModel, parts);
  const named = { ...shared, group: requested, candidate, upstreamModel };
  return { ...named, facts: factsOf(named) };
}

function fill(target: string, parts: readonly string[]): string {
  let next = 0;
  return target.replace(/\*/g, () => parts[Math.min(next++, parts.length - 1)] ?? "");
}
