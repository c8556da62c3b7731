/**
 * Labels for logged calls: the model that answered, and the one that nearly did, answer anew; a judge
 * grades both, in both orders; the call's own model's grade becomes feedback on the call.
 */
import type { Feedback } from "../../domain/decision.ts";
import { isObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import { type Agreement, thumbOf, toAgreement, verdictOf } from "./agreement.ts";
import type { Labellable } from "./choose-calls.ts";
import type { ChatEndpoint, Price } from "./endpoint.ts";
import { type Grade, type Judge, paidFor } from "./judge.ts";
import type { Purse, Share } from "./purse.ts";
import type { Done } from "./work.ts";

/** Answers that are asked for anew end here. */
export const answerTokens = 1_024;
const charsPerToken = 4;

export interface LabelParts {
  readonly gateway: ChatEndpoint;
  readonly priceOf: (model: string) => Price | undefined;
  readonly judge: Judge;
  readonly purse: Purse;
  readonly clock: Clock;
  /** Grades the call's own answer beside the nearest rival's, or alone. */
  readonly mode: "pairwise" | "rubric";
  /** False where the call has such a label by now, or is gone. */
  readonly store: (feedback: Feedback) => Promise<boolean>;
}

/** Labels one call. @throws GatewayError as endpoint and judge */
export async function labelCall(call: Labellable, parts: LabelParts): Promise<Done> {
  const expected = labelCostUsd(call, parts);
  const most = labelCostUsd(call, parts, answerTokens);
  const share = await parts.purse.open(most, expected);
  if (!share) return "no money";
  try {
    return await labelFrom(share, call, parts);
  } finally {
    share.close();
  }
}

async function labelFrom(share: Share, call: Labellable, parts: LabelParts): Promise<Done> {
  const models = modelsOf(call, parts.mode);
  const answers = [];
  for (const model of models) {
    const asked = await askFor(call.prompt, model, share, parts);
    if (!asked) return "no money";
    answers.push({ model, text: asked.text });
  }
  const grades = await parts.judge.grade(call.prompt, answers, share);
  const own = grades?.[0];
  if (!grades || !own) return "no money";
  const stored = await parts.store({
    callId: call.callId,
    score: Number(own.score.toFixed(4)),
    source: parts.judge.source,
    comment: toComment(models, grades),
    atMs: parts.clock.now(),
  });
  return stored ? "done" : "skipped";
}

export function modelsOf({ model, rival }: Labellable, mode: LabelParts["mode"]): string[] {
  return mode === "pairwise" && rival !== undefined ? [model, rival] : [model];
}

/** Undefined where the money would not do. */
export async function askFor(
  prompt: string,
  model: string,
  share: Share,
  { gateway, priceOf }: Pick<LabelParts, "gateway" | "priceOf">,
) {
  const price = priceOf(model) ?? { inputUsdPerToken: 0, outputUsdPerToken: 0 };
  const most = answerCostUsd(price, prompt.length, answerTokens);
  if (!(await share.reserve(most))) return undefined;
  let cost = 0;
  try {
    const asked = await gateway.ask(model, [{ role: "user", content: prompt }], answerTokens);
    cost = paidFor(asked, price);
    return { ...asked, costUsd: cost };
  } finally {
    share.settle(most, cost);
  }
}

export function answerCostUsd(price: Price, promptChars: number, outputTokens: number): number {
  const input = promptChars / charsPerToken + 16;
  return input * price.inputUsdPerToken + outputTokens * price.outputUsdPerToken;
}

/** What labelling a call is expected to cost, or would with so many tokens in each answer. */
export function labelCostUsd(
  call: Labellable,
  { judge, priceOf, mode }: Pick<LabelParts, "judge" | "priceOf" | "mode">,
  each?: number,
): number {
  const models = modelsOf(call, mode);
  const tokens = models.map((model) =>
    Math.min(answerTokens, each ?? call.outputTokens[model] ?? 256),
  );
  const answers = models.reduce((sum, model, at) => {
    const price = priceOf(model);
    return sum + (price ? answerCostUsd(price, call.prompt.length, tokens[at] ?? 0) : 0);
  }, 0);
  const lengths = tokens.map((count) => count * charsPerToken);
  return answers + judge.estimateUsd(call.prompt.length, lengths);
}

/** Where a label is from, kept with it: who was graded, and how in each order. */
function toComment(models: readonly string[], grades: readonly Grade[]): string {
  return JSON.stringify({ models, orders: grades.map(({ orders }) => orders) });
}

export interface JudgeRecord {
  readonly labels: number;
  /** Of a judge with itself: which of two answers is better, in one order and in the other. */
  readonly betweenOrders: Agreement;
  /** With people: thumbs up or down. */
  readonly withPeople: Agreement;
}

/** What all labels of one source in the log say of their judge. */
export function createJudgeRecord(source: string) {
  const orders: [string, string][] = [];
  const people: [string, string][] = [];
  let labels = 0;
  return {
    add(feedback: readonly Feedback[], fromPeople: number | undefined): void {
      for (const one of feedback) {
        if (one.source !== source) continue;
        labels++;
        const pair = readOrders(one.comment);
        if (pair) orders.push(pair);
        if (fromPeople !== undefined) people.push([thumbOf(one.score), thumbOf(fromPeople)]);
      }
    },
    result: (): JudgeRecord => ({
      labels,
      betweenOrders: toAgreement(orders),
      withPeople: toAgreement(people),
    }),
  };
}

function readOrders(comment: string | undefined): [string, string] | undefined {
  const value = parse(comment ?? "");
  const orders = isObject(value) ? value["orders"] : undefined;
  if (!Array.isArray(orders) || orders.length !== 2) return undefined;
  const grades = orders.flat();
  if (grades.length !== 4 || grades.some((grade) => typeof grade !== "number")) return undefined;
  const [a1, a2, b1, b2] = grades as [number, number, number, number];
  return [verdictOf(a1, b1), verdictOf(a2, b2)];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // somebody else's comment
  }
}
