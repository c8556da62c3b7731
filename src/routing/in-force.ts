/** What a configuration's `routing_strategy` comes to: balancers, and a trained router or none. */
import type { RouterSettings } from "../config/config.ts";
import { GatewayError } from "../domain/errors.ts";
import type { Balancer } from "./balancers/balancer.ts";
import { createCostAware } from "./balancers/cost-aware.ts";
import { findBalancer } from "./balancers/registry.ts";
import { simpleShuffle } from "./balancers/simple-shuffle.ts";
import { type CostAwareSettings, costAwareName, toCostAware } from "./cost-aware.ts";
import { customName } from "./custom/plan.ts";
import { findPolicy } from "./policies/registry.ts";
import { priorStrategy } from "./prior/prior-router.ts";
import type { PriorUse } from "./prior/priors.ts";

type Configured = Pick<RouterSettings, "routingStrategy" | "routingStrategyArgs">;

export interface InForce {
  /** The learned strategy that is wanted; undefined where balancers decide alone. */
  readonly learned?: string;
  /** Of whole groups where no trained router is in force. */
  readonly staticBalancer: Balancer;
  /** Of the deployments of a chosen candidate. */
  readonly balancer: Balancer;
  /** Weighs what the trained router predicts, in the dial's place. */
  readonly costAware?: CostAwareSettings;
  readonly prior: PriorUse;
}

/** The strategy that is whatever router was trained, and the catalog's word until there is one. */
export const automaticName = "auto";

/** @throws GatewayError strategy_refused */
export function toInForce(configured: Configured): InForce {
  const { routingStrategy: name, routingStrategyArgs: args } = configured;
  const within = getBalancer(args.balancer ?? simpleShuffle.name);
  const learned = learnedStrategyOf(configured);
  if (name === costAwareName) {
    const settings = toCostAware(args);
    const inner = learned === undefined ? innerOf(args) : undefined;
    const untrained = createCostAware(settings, inner === undefined ? inner : getBalancer(inner));
    const prior = "never";
    if (learned === undefined) return { staticBalancer: untrained, balancer: untrained, prior };
    const { fallback_strategy: fallback } = args;
    const staticBalancer = fallback === undefined ? untrained : getBalancer(fallback);
    return { learned, costAware: settings, staticBalancer, balancer: within, prior };
  }
  const whole = findBalancer(name);
  // Whoever names another balancer wants it for names that stand for several models, too.
  const automatic = whole === simpleShuffle ? "automatic" : "never";
  if (whole) return { staticBalancer: whole, balancer: whole, prior: automatic };
  const fallback = getBalancer(args.fallback_strategy ?? simpleShuffle.name);
  const prior = takesPrior(configured) ? "untrained" : "never";
  return { learned: name, staticBalancer: fallback, balancer: within, prior };
}

/** What decides for a learned strategy while it has no trained router. */
export function untrainedChoice(configured: Configured): string {
  const { fallback_strategy: fallback = simpleShuffle.name } = configured.routingStrategyArgs;
  return takesPrior(configured) ? priorStrategy : fallback;
}

/** Strategies that ask models, or a module, have a fallback of their own: it is a balancer. */
function takesPrior({ routingStrategy: name, routingStrategyArgs: args }: Configured): boolean {
  return args.fallback_strategy === undefined && name !== customName && !findPolicy(name);
}

/**
 * The learned strategy that a configuration asks for. `llmrouter-cost-aware` has one where its inner
 * strategy is learned, or where a model_path is set and no inner strategy at all.
 */
export function learnedStrategyOf({
  routingStrategy: name,
  routingStrategyArgs: args,
}: Configured): string | undefined {
  if (name !== costAwareName) return findBalancer(name) ? undefined : name;
  const inner = innerOf(args);
  if (inner !== undefined) return findBalancer(inner) ? undefined : inner;
  return args.model_path === undefined ? undefined : name;
}

function innerOf(args: Configured["routingStrategyArgs"]): string | undefined {
  return args.inner_strategy ?? args.inner_strategy_name;
}

function getBalancer(name: string): Balancer {
  const found = findBalancer(name);
  if (found) return found;
  throw new GatewayError("strategy_refused", `There is no balancer "${name}".`);
}
