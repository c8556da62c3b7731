/** What both ways of labelling work with: the gateway, the judge, prices and a budget. */
import type { Price } from "../../learning/label/endpoint.ts";
import { createEndpoint } from "../../learning/label/endpoint.ts";
import { createJudge } from "../../learning/label/judge.ts";
import type { LabelParts } from "../../learning/label/label-calls.ts";
import { createPurse } from "../../learning/label/purse.ts";
import { loadCatalog } from "../../providers/catalog.ts";
import { createOutbound } from "../../security/outbound.ts";
import { systemClock } from "../../std/clock.ts";
import type { CommandContext } from "../command.ts";
import { textFlag } from "../learning-inputs.ts";
import { UsageError } from "../parse.ts";

/** What both ways of labelling need. */
export interface LabelTools extends Omit<LabelParts, "store" | "mode"> {
  readonly limit: number;
  readonly concurrency: number;
  readonly plan: boolean;
  readonly budgetUsd: number;
}

const mostConcurrent = 32;

export async function openTools(context: CommandContext): Promise<LabelTools> {
  const { flags, env, signal } = context;
  const model = textFlag(flags, "judge");
  if (model === undefined) throw new UsageError("--judge MODEL is needed.");
  const budgetUsd = readNumber(flags, "budget", undefined, 1e6);
  const common = { outbound: createOutbound(), clock: systemClock, signal };
  const url =
    textFlag(flags, "url") ?? env["ROUTEIQ_URL"] ?? `http://127.0.0.1:${env["PORT"] || "4000"}`;
  const key = env["ROUTEIQ_API_KEY"] || env["LITELLM_MASTER_KEY"] || undefined;
  const gateway = createEndpoint({ ...common, url, key });
  const judgeUrl = textFlag(flags, "judge-url");
  const own = { url: judgeUrl ?? url, key: env["ROUTEIQ_JUDGE_API_KEY"] || key };
  const endpoint = judgeUrl === undefined ? gateway : createEndpoint({ ...common, ...own });
  const priceOf = await readPrices(gateway);
  const price = readJudgePrice(flags) ?? priceOf(model);
  if (!price) {
    throw new UsageError(
      `Nobody knows the price of ${model}, so no budget can be kept: give --judge-price IN,OUT (USD per million tokens).`,
    );
  }
  const purse = createPurse(budgetUsd);
  const newKey = () => crypto.randomUUID().replaceAll("-", "");
  return {
    gateway,
    priceOf,
    purse,
    clock: systemClock,
    judge: createJudge({ endpoint, model, price, newKey }),
    limit: readNumber(flags, "limit", 1e6, 1e6),
    concurrency: Math.max(1, Math.min(mostConcurrent, readNumber(flags, "concurrency", 4, 1e6))),
    plan: flags["plan"] === true,
    budgetUsd,
  };
}

/** The gateway's own prices first; else the catalog's. */
async function readPrices(
  gateway: LabelParts["gateway"],
): Promise<(model: string) => Price | undefined> {
  const told = await gateway.prices();
  const catalog = loadCatalog();
  return (model) => {
    const known = told.get(model);
    if (known) return known;
    const [, provider, name] = /^([^/]+)\/(.+)$/.exec(model) ?? [];
    const { price } = catalog.factsOf(provider ?? "openai", name ?? model);
    return price && price.inputUsdPerToken + price.outputUsdPerToken > 0 ? price : undefined;
  };
}

function readJudgePrice(flags: CommandContext["flags"]): Price | undefined {
  const text = textFlag(flags, "judge-price");
  if (text === undefined) return undefined;
  const [input, output, ...more] = text.split(",").map(Number);
  const valid = [input, output].every((value) => value !== undefined && value >= 0);
  if (!valid || more.length > 0) {
    throw new UsageError(`--judge-price ${text} is not of the form IN,OUT, such as 2.5,10.`);
  }
  return { inputUsdPerToken: (input ?? 0) / 1e6, outputUsdPerToken: (output ?? 0) / 1e6 };
}

function readNumber(
  flags: CommandContext["flags"],
  name: string,
  otherwise: number | undefined,
  most: number,
): number {
  const text = textFlag(flags, name);
  if (text === undefined && otherwise !== undefined) return otherwise;
  const value = Number(text);
  if (text !== undefined && text.trim() !== "" && value > 0 && value <= most) return value;
  throw new UsageError(
    text === undefined ? `--${name} is needed.` : `--${name} ${text} is not a number above 0.`,
  );
}
