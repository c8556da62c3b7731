/** Options of policies out of `routing_strategy_args`, with their defaults; and what is wrong with them. */
import type { RoutingStrategyArgs } from "../../config/config.ts";
import type { PolicyCandidate, PolicyProblem } from "./policy.ts";

/** A group that a policy cannot do without. */
export function needsGroup(
  args: RoutingStrategyArgs,
  key: "router_model",
  strategy: string,
  serves: (name: string) => boolean,
): PolicyProblem | undefined {
  const name = routerModel(args);
  if (name === undefined) {
    return {
      key,
      message: `${strategy} needs a language model that routes, and there is no ${key}`,
      remedy: `Add it to model_list, and name it: routing_strategy_args: {${key}: <its model_name>}.`,
    };
  }
  return isServed(name, key, serves);
}

/** The same where a policy works without; what is named must be there. */
export function isServed(
  name: unknown,
  key: string,
  serves: (name: string) => boolean,
): PolicyProblem | undefined {
  if (typeof name !== "string" || serves(name)) return undefined;
  return {
    key,
    message: `${key} is "${name}", and no model_name is that`,
    remedy: `Add a row with model_name: ${name} to model_list, or name one that is there.`,
  };
}

/** LLMRouter's multi-round routers say `base_model`. */
export function routerModel({ router_model, base_model }: RoutingStrategyArgs): string | undefined {
  const name = router_model ?? base_model;
  return typeof name === "string" ? name : undefined;
}

/** A model that was trained to route answers nobody itself, where `auto` would have it among the rest. */
export function withoutRouter(
  candidates: readonly PolicyCandidate[],
  args: RoutingStrategyArgs,
): readonly PolicyCandidate[] {
  const others = candidates.filter(({ group }) => group !== routerModel(args));
  return others.length > 0 ? others : candidates;
}

export function numberOf(value: unknown, otherwise: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}

/** Price of a token each way; undefined where none is known. */
export function priceOf({ deployments }: PolicyCandidate): number | undefined {
  const price = deployments[0]?.facts.price;
  return price && price.inputUsdPerToken + price.outputUsdPerToken;
}
