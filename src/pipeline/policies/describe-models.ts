/** What a language model that chooses is told of the candidates: the operator's words, else the facts. */
import type { RoutingStrategyArgs } from "../../config/config.ts";
import { isObject } from "../../domain/json.ts";
import type { Deployment } from "../../domain/model.ts";
import type { Candidate } from "../../routing/candidates.ts";
import { type PolicyCandidate, policyLimits } from "../../routing/policies/policy.ts";

/** Cost: a look-up per candidate; the words are made once per deployment. */
export function describeModels(
  args: RoutingStrategyArgs,
): (candidates: readonly Candidate[]) => readonly PolicyCandidate[] {
  const known = new WeakMap<Deployment, Pick<PolicyCandidate, "description" | "aliases">>();
  return (candidates) =>
    candidates.map(({ model, group, deployments }) => {
      const [first] = deployments;
      let told = first && known.get(first);
      if (!told) {
        told = { description: describe(first, args), aliases: aliasesOf(model, args) };
        if (first) known.set(first, told);
      }
      return { model, group, deployments, ...told };
    });
}

function describe(deployment: Deployment | undefined, args: RoutingStrategyArgs): string {
  if (!deployment) return "";
  const { candidate, group, info, facts } = deployment;
  const given = args.model_descriptions;
  const told =
    (isObject(given) ? (given[candidate] ?? given[group]) : undefined) ?? info?.["description"];
  const words = typeof told === "string" ? told.slice(0, policyLimits.descriptionChars) : "";
  const { price, sizeB, maxInputTokens } = facts;
  const perMillion = (usd: number) => Number((usd * 1e6).toPrecision(3));
  return [
    words.trim().replace(/\s+/g, " "),
    sizeB === undefined ? "" : `${sizeB} billion parameters`,
    price
      ? `USD per million tokens: ${perMillion(price.inputUsdPerToken)} in, ${perMillion(price.outputUsdPerToken)} out`
      : "",
    maxInputTokens === undefined ? "" : `context ${maxInputTokens} tokens`,
  ]
    .filter((part) => part !== "")
    .join("; ");
}

function aliasesOf(model: string, { label_mapping: mapping }: RoutingStrategyArgs): string[] {
  return Object.entries(mapping ?? {}).flatMap(([label, to]) => (to === model ? [label] : []));
}
