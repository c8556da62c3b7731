/**
 * Grades of answers by a language model, each set in both orders: what a judge says of an answer
 * should not depend on where it stands, and how often it does is reported.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { Asked, ChatEndpoint, Price } from "./endpoint.ts";
import { answersAtOnce, promptVersion, readGrades, toJudgePrompt } from "./judge-prompt.ts";
import type { Share } from "./purse.ts";

export interface Answer {
  readonly model: string;
  readonly text: string;
}

export interface Grade {
  /** In [0, 1]: the mean over the orders. */
  readonly score: number;
  /** One per order in which it stood. */
  readonly orders: readonly number[];
}

export interface Judge {
  /** `judge:<model>@<version of the prompt>`: what a label's source says. */
  readonly source: string;
  /**
   * Undefined where the money would not do. @throws GatewayError upstream_invalid where the judge
   * does not keep to the form, or as the endpoint
   */
  grade(
    request: string,
    answers: readonly Answer[],
    share: Share,
  ): Promise<readonly Grade[] | undefined>;
  /** What a grading may cost at most, by the length of its texts. */
  estimateUsd(requestChars: number, answerChars: readonly number[]): number;
}

export interface JudgeOptions {
  readonly endpoint: ChatEndpoint;
  readonly model: string;
  readonly price: Price;
  /** An unguessable word, new each time. */
  readonly newKey: () => string;
}

/** A judge that thinks before it speaks needs room. */
const gradeTokens = 600;
const promptChars = 1_600;
const charsPerToken = 3; // on the safe side of the usual four
const asks = 2;
const sourceLimit = 64;

export function createJudge(options: JudgeOptions): Judge {
  const { endpoint, model, price, newKey } = options;

  async function gradeOnce(
    request: string,
    answers: readonly Answer[],
    share: Share,
  ): Promise<readonly number[] | undefined> {
    const texts = answers.map(({ text }) => text);
    for (let ask = 1; ask <= asks; ask++) {
      const most = costOf(
        price,
        request.length,
        texts.map((text) => text.length),
      );
      if (!(await share.reserve(most))) return undefined;
      let cost = 0;
      try {
        const prompt = toJudgePrompt(request, texts, newKey());
        const asked = await endpoint.ask(model, prompt, gradeTokens);
        cost = paidFor(asked, price);
        const grades = readGrades(asked.text, texts.length);
        if (grades) return grades;
      } finally {
        share.settle(most, cost);
      }
    }
    throw new GatewayError(
      "upstream_invalid",
      `the judge ${model} does not answer with {"grades": […]}, asked ${asks} times`,
    );
  }

  async function gradeSome(request: string, answers: readonly Answer[], share: Share) {
    const first = await gradeOnce(request, answers, share);
    if (!first) return undefined;
    if (answers.length === 1) return [toGrade([first[0] ?? 0])];
    const turned = await gradeOnce(request, answers.toReversed(), share);
    if (!turned) return undefined;
    const second = turned.toReversed();
    return first.map((grade, at) => toGrade([grade, second[at] ?? grade]));
  }

  return {
    source: toSource(model),
    estimateUsd: (requestChars, answerChars) =>
      (answerChars.length === 1 ? 1 : 2) *
      chunk(answerChars).reduce((sum, some) => sum + costOf(price, requestChars, some), 0),
    async grade(request, answers, share) {
      const grades: Grade[] = [];
      for (const some of chunk(answers)) {
        const graded = await gradeSome(request, some, share);
        if (!graded) return undefined;
        grades.push(...graded);
      }
      return grades;
    },
  };
}

/** Within what a feedback's source may be: 64 letters, digits, and . : @ / _ - */
function toSource(model: string): string {
  const name = model.replace(/[^\w.:/-]/g, "-").slice(0, sourceLimit - promptVersion.length - 7);
  return `judge:${name}@${promptVersion}`;
}

function toGrade(orders: readonly number[]): Grade {
  return { score: orders.reduce((sum, grade) => sum + grade, 0) / orders.length, orders };
}

/** Parts of about equal length, so that no answer stands alone beside a full part. */
function chunk<T>(items: readonly T[]): T[][] {
  const parts = Math.max(1, Math.ceil(items.length / answersAtOnce));
  const size = Math.ceil(items.length / parts);
  return Array.from({ length: parts }, (_, at) => items.slice(at * size, (at + 1) * size));
}

/** At most: by characters, with all of the tokens that the judge may write. */
function costOf(price: Price, requestChars: number, answerChars: readonly number[]): number {
  const chars = promptChars + requestChars + answerChars.reduce((sum, length) => sum + length, 0);
  return (chars / charsPerToken) * price.inputUsdPerToken + gradeTokens * price.outputUsdPerToken;
}

/** As the endpoint says; else its tokens at the price. */
export function paidFor({ costUsd, inputTokens, outputTokens, text }: Asked, price: Price): number {
  if (costUsd !== undefined) return costUsd;
  const output = outputTokens ?? text.length / charsPerToken;
  return (inputTokens ?? 0) * price.inputUsdPerToken + output * price.outputUsdPerToken;
}
