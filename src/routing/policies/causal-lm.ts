/**
 * A fine-tuned causal language model, served behind any deployment, names the model that answers.
 * Its word is taken strictly: a name that is no candidate's is a failure, not a guess.
 * Source: LLMRouter's CausalLMRouter (github.com/ulab-uiuc/LLMRouter): a LoRA on Llama-2-7B that
 * completes a prompt with the best model's name; temperature 0.1, 32 tokens.
 */
import type { RoutingStrategyArgs } from "../../config/config.ts";
import { isObject } from "../../domain/json.ts";
import { withoutThought } from "./conversation.ts";
import { describe, findNamed, nameOf } from "./names.ts";
import { type Policy, type PolicyCandidate, type PolicyRun, PolicyStopped } from "./policy.ts";
import { needsGroup, numberOf, routerModel, withoutRouter } from "./settings.ts";

const name = "llmrouter-causallm";

export const causalLm: Policy = {
  name,
  summary: "a served language model, fine-tuned for it, names the model that answers",
  sticks: true,
  artifact: "never",
  findProblem(args, serves) {
    const template = args.prompt_template;
    if (typeof template === "string" && !template.includes("{query}")) {
      return {
        key: "prompt_template",
        message: "prompt_template has no {query}, so the model would never see one",
        remedy: "Put {query} where the query goes, and {models} where the names go.",
      };
    }
    return needsGroup(args, "router_model", name, serves);
  },
  async run(all, args) {
    const run = { ...all, candidates: withoutRouter(all.candidates, args) };
    const said = await run.ask({
      to: { group: routerModel(args) ?? "" },
      purpose: "route",
      messages: [{ role: "user", content: toPrompt(run, args) }],
      maxTokens: numberOf(args.max_new_tokens, 32),
      temperature: numberOf(args.temperature, 0.1),
      stop: ["\n"],
      completion: args.router_api === "completion",
    });
    const chosen = parseName(said.text, run.candidates);
    if (!chosen) throw new PolicyStopped("the routing model named none of the candidates");
    const rest = run.candidates.filter((each) => each !== chosen);
    return {
      kind: "route",
      order: [chosen, ...rest],
      reason: "named",
      note: `${said.model} named ${chosen.model}`,
    };
  },
};

const preset = `You choose which language model answers a query. The models:
{descriptions}

Name the one that answers this query best for its price. Write its name, exactly as above, and nothing else.

Query: {query}

Best model:`;

function toPrompt({ candidates, query }: PolicyRun, { prompt_template }: RoutingStrategyArgs) {
  const filled: Readonly<Record<string, string>> = {
    models: candidates.map((each) => nameOf(each, candidates)).join(", "),
    descriptions: describe(candidates),
    query,
  };
  // In one pass, so that a query that holds a placeholder stays what it is.
  return (typeof prompt_template === "string" ? prompt_template : preset).replace(
    /\{(models|descriptions|query)\}/g,
    (_, key: string) => filled[key] ?? "",
  );
}

/** The name on the first line, or in `{"model": …}`; no more around it than quotes and a heading. */
export function parseName(
  text: string,
  candidates: readonly PolicyCandidate[],
): PolicyCandidate | undefined {
  const said = withoutThought(text);
  const line = said.split("\n").find((each) => each.trim() !== "") ?? "";
  const heading = /^(?:best (?:model|llm)|model|answer)\s*(?::|is)\s*/i;
  return (
    findNamed(line, candidates) ??
    findNamed(line.replace(heading, ""), candidates) ??
    findNamed(nameInJson(said), candidates)
  );
}

function nameInJson(text: string): string {
  if (!text.startsWith("{")) return "";
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value)) return "";
    const named = value["model"] ?? value["model_name"];
    return typeof named === "string" ? named : "";
  } catch {
    return ""; // it only looked like JSON; then it names nobody
  }
}
