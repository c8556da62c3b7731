/**
 * The demo's judge: simulated like the models it grades. It is asked as any judge is, over HTTP, with
 * the prompt of `routeiq label`; in place of understanding it knows the hidden truth, and errs about
 * it as people's and models' grades do, by answer and by the place where an answer stands.
 */
import type { SimulatedAnswer, SimulatedRequest } from "./answer.ts";
import { countTokens } from "./answer.ts";
import type { Prompt } from "./prompts.ts";
import { type SimulatedVendor, simulatedModels, trueQuality, uniform } from "./simulated-models.ts";

export const simulatedCourt: SimulatedVendor = {
  name: "sim-court",
  dialect: "openai-chat",
  models: [
    {
      name: "sim-judge",
      sizeB: 70,
      inputUsdPerMtok: 0.5,
      outputUsdPerMtok: 2,
      firstTokenMs: 60,
      tokensPerSecond: 200,
      verbosity: 1,
      skill: {
        ...{ code: 0.9, maths: 0.9, law: 0.9, translation: 0.9 },
        ...{ writing: 0.9, "small-talk": 0.9, facts: 0.9, extraction: 0.9 },
      },
    },
  ],
};

export interface JudgeKnowledge {
  readonly seed: number;
  /** The hidden topic and difficulty of a text, where it is of the demo's own bank. */
  readonly promptOf: (text: string) => Prompt | undefined;
}

/** Most that a grade is off the truth by, either way; uniform. */
const errorLimit = 0.14;
const bestGrade = 10;

/** What the judge says of what stands between the prompt's markers. */
export function judgeAnswer(
  { prompt, inputText }: SimulatedRequest,
  knowledge: JudgeKnowledge,
): SimulatedAnswer {
  const fenced = [...prompt.matchAll(/<<(REQUEST|ANSWER-\d+) (\w+)\n([\s\S]*?)\n\2 \1>>/g)];
  const request = fenced.find(([, name]) => name === "REQUEST")?.[3] ?? "";
  const grades = fenced
    .filter(([, name]) => name !== "REQUEST")
    .map(([, place, , answer]) =>
      gradeOf({ request, answer: answer ?? "", place: place ?? "" }, knowledge),
    );
  const text = JSON.stringify({ grades });
  return {
    text,
    finish: "stop",
    inputTokens: countTokens(inputText),
    outputTokens: countTokens(text),
  };
}

interface Graded {
  readonly request: string;
  readonly answer: string;
  readonly place: string;
}

/** A whole number from 0 to 10; the middle for what it knows nothing of. */
function gradeOf({ request, answer, place }: Graded, { seed, promptOf }: JudgeKnowledge): number {
  const name = /^\[Simulated answer by ([\w-]+):/.exec(answer)?.[1];
  const model = simulatedModels.find((each) => each.name === name);
  const known = promptOf(request);
  if (!model || !known) return bestGrade / 2;
  const error = (uniform(`judge\n${seed}\n${place}\n${name}\n${request}`) - 0.5) * 2 * errorLimit;
  const grade = Math.round(bestGrade * (trueQuality(model, known, seed) + error));
  return Math.min(bestGrade, Math.max(0, grade));
}
