/** The demo's shadow set: every model answers a sample, and the simulated judge grades, by `routeiq label`. */
import { readFileSync, writeFileSync } from "node:fs";
import { isObject } from "../../domain/json.ts";
import type { Prompt } from "./prompts.ts";
import { simulatedCourt } from "./simulated-judge.ts";
import { simulatedModels, simulatedVendors } from "./simulated-models.ts";
import type { Stage } from "./stage.ts";

export const judgeName = simulatedCourt.models[0]?.name ?? "";
/** Simulated dollars. */
const budgetUsd = 10;
const concurrency = 12;

export interface ShadowSet {
  readonly rows: number;
  readonly spentUsd: number;
  /** A row of training data (DESIGN §5) by the prompt's id, as one line of JSON. */
  readonly lines: ReadonlyMap<string, string>;
}

/** @returns the command as typed, and what it made */
export async function makeShadowSet(
  stage: Stage,
  prompts: readonly Prompt[],
  onCommand: (line: string) => void,
): Promise<ShadowSet> {
  const { path } = stage;
  const queries = prompts.map(({ id, text }) => `${JSON.stringify({ id, query: text })}\n`);
  writeFileSync(path("queries.jsonl"), queries.join(""));
  const args = [
    ...["label", "--shadow", "--data", "queries.jsonl", "--judge", judgeName],
    ...["--models", simulatedModels.map(({ name }) => labelOf(name)).join(",")],
    ...["--budget", String(budgetUsd), "--url", stage.url],
    ...["--concurrency", String(concurrency), "--out", "judged.jsonl"],
  ];
  onCommand(`$ routeiq ${args.join(" ")}`);
  const answer: unknown = JSON.parse((await stage.run(...args, "--json")).trim());
  const lines = new Map<string, string>();
  for (const line of readFileSync(path("judged.jsonl"), "utf8").split("\n")) {
    if (line !== "") lines.set(String((JSON.parse(line) as { id: string }).id), line);
  }
  const spentUsd = isObject(answer) ? Number(answer["spent_usd"]) : Number.NaN;
  return { rows: lines.size, spentUsd, lines };
}

/** `litellm_params.model` of a simulated model: what an artifact's labels are matched by. */
export function labelOf(model: string): string {
  const vendor = simulatedVendors.find(({ models }) => models.some(({ name }) => name === model));
  return `${vendor?.dialect === "anthropic" ? "anthropic" : "openai"}/${model}`;
}

/** `models.json` beside the rows: the prices, as DESIGN §5 reads them. */
export function toPriceFile(): string {
  const models = simulatedVendors.flatMap(({ models }) => models);
  return JSON.stringify(
    Object.fromEntries(
      models.map((model) => [
        labelOf(model.name),
        {
          input_usd_per_mtok: model.inputUsdPerMtok,
          output_usd_per_mtok: model.outputUsdPerMtok,
          size_b: model.sizeB,
        },
      ]),
    ),
    undefined,
    2,
  );
}
