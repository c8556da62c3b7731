/**
 * The rows of LLMRouter and of benchmarks kin to it, each told by its fields.
 * Sources: github.com/ulab-uiuc/LLMRouter (routing_data, dcrouter_preprocessed, gmtrouter and
 * personalizedrouter data), github.com/ynulihao/LLMRouterBench (records).
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import { textOf, toNumber, toOutcome } from "./fields.ts";
import type { Gatherer } from "./gather.ts";
import { BadRow } from "./problems.ts";
import { parseJsonOrPython } from "./python-literal.ts";
import type { DataRow, Outcome } from "./row.ts";

/** `{query, model_name, performance, …}`: one line per query and model; numbers may be text (CSV). */
export function addRoutingRow(value: JsonObject, gatherer: Gatherer): void {
  const query = textOf(value["query"]) ?? textOf(value["origin_query"]);
  const model = textOf(value["model_name"]) ?? textOf(value["llm"]) ?? textOf(value["model"]);
  const performance = value["performance"] ?? value["effect"] ?? value["score"];
  if (query === undefined) {
    throw new BadRow(`the row has neither "models" nor "query"; see docs/data.md`);
  }
  const score = toNumber(performance, "performance");
  if (model === undefined || score === undefined) {
    throw new BadRow(
      `the row has no outcomes: give "models", or the reference library's routing_data with ` +
        `"model_name" and "performance" (query_data alone has none)`,
    );
  }
  const category = textOf(value["task_name"]) ?? textOf(value["task_id"]);
  gatherer.add({
    key: JSON.stringify([category, query, value["ground_truth"], value["metric"]]),
    query: withChoices(query, value["choices"]),
    model,
    category,
    outcome: toOutcome(
      {
        score,
        input_tokens: toNumber(value["input_tokens"] ?? value["prompt_tokens"], "input_tokens"),
        output_tokens: toNumber(
          value["output_tokens"] ?? value["completion_tokens"],
          "output_tokens",
        ),
        cost_usd: toNumber(value["cost_usd"] ?? value["cost"], "cost"),
        latency_s: toNumber(value["response_time"] ?? value["latency_s"], "response_time"),
      } as JsonObject,
      "performance",
    ),
  });
}

/** `{question, scores: {model: 0..1}, cluster_id?}` of `dcrouter_preprocessed`. */
export function toScoresRow(value: JsonObject, scores: JsonObject, id: string): DataRow {
  const query = textOf(value["question"]) ?? textOf(value["query"]);
  if (query === undefined) throw new BadRow(`"question" must be a string`);
  const outcomes = new Map<string, Outcome>();
  for (const [model, score] of Object.entries(scores)) {
    outcomes.set(model, toOutcome({ score: score as number }, `scores["${model.slice(0, 80)}"]`));
  }
  if (outcomes.size === 0) throw new BadRow(`"scores" names no model`);
  return { id, query, tools: [], outcomes };
}

/** A turn of GMTRouter's data, with its rating as it came. */
export interface RatedTurn {
  readonly query: string;
  readonly model: string;
  readonly user: string | undefined;
  readonly session: string;
  readonly rating: number;
}

/** `{judge, model, question_id, turn, conversation: [{query, response, rating}]}`. */
export function toRatedTurns(value: JsonObject): RatedTurn[] {
  const { judge, conversation, question_id: question } = value;
  const model = textOf(value["model"]);
  if (model === undefined || !Array.isArray(conversation)) {
    throw new BadRow(`"model" must be a string and "conversation" a list`);
  }
  const user = textOf(judge);
  return conversation.flatMap((turn): RatedTurn[] => {
    if (!isObject(turn)) return [];
    const query = textOf(turn["query"]);
    const rating = toNumber(turn["rating"], "rating");
    if (query === undefined || rating === undefined) return [];
    return [{ query, model, user, session: `${String(question)}`, rating }];
  });
}

/**
 * Ratings of one file on their common scale: 0 to 1 where none is above 1, else 1 to 10 as MT-Bench
 * has it. @throws BadRow where they are on neither
 */
export function toRatingScale(ratings: readonly number[]): (rating: number) => number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const rating of ratings) {
    low = Math.min(low, rating);
    high = Math.max(high, rating);
  }
  if (low >= 0 && high <= 1) return (rating) => rating;
  if (low >= 0 && high <= 10) return (rating) => Math.max(0, (rating - 1) / 9);
  throw new BadRow(`ratings from ${low} to ${high} are neither on 0 to 1 nor on 1 to 10`);
}

/**
 * Multiple choice as it is asked: the options, lettered, below the question. `choices` is a JSON
 * string by LLMRouter's manual and a Python literal in its files; a list, or `{text, labels}`.
 */
export function withChoices(query: string, choices: unknown): string {
  const value = typeof choices === "string" ? parseJsonOrPython(choices) : choices;
  const options = toOptions(value);
  const asked = options.length === 0 || options.every(({ text }) => query.includes(text));
  if (asked) return query;
  return `${query}\n${options.map(({ label, text }) => `${label}. ${text}`).join("\n")}`;
}

interface Option {
  readonly label: string;
  readonly text: string;
}

function toOptions(value: unknown): Option[] {
  const letter = (at: number) => String.fromCharCode(65 + (at % 26));
  if (Array.isArray(value)) {
    return value.map((text, at) => ({ label: letter(at), text: String(text) }));
  }
  if (!isObject(value)) return [];
  const texts = value["text"] ?? value["texts"];
  const labels = value["labels"] ?? value["label"];
  if (Array.isArray(texts)) {
    return texts.map((text, at) => ({
      label: Array.isArray(labels) ? String(labels[at] ?? letter(at)) : letter(at),
      text: String(text),
    }));
  }
  return Object.entries(value)
    .filter(([, text]) => typeof text === "string")
    .map(([label, text]) => ({ label, text: String(text) }));
}
