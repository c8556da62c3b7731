/**
 * The simulated models: what each costs, how fast it is and how good at what. Invented for the demo;
 * no figure here describes a real product. A router has to find the skills out by itself.
 */
import { type Topic, topics } from "./topics.ts";

export interface SimulatedModel {
  /** The name that its provider knows it by. */
  readonly name: string;
  readonly sizeB: number;
  readonly inputUsdPerMtok: number;
  readonly outputUsdPerMtok: number;
  /** Mean delay until the first token, and tokens per second after it, at speed 1. */
  readonly firstTokenMs: number;
  readonly tokensPerSecond: number;
  /** Length of its answers beside the others'. */
  readonly verbosity: number;
  /** Expected quality in [0, 1] on a prompt of middling difficulty, in the order of `topics`. */
  readonly skill: Readonly<Record<Topic, number>>;
}

export interface SimulatedVendor {
  readonly name: string;
  readonly dialect: "openai-chat" | "anthropic";
  readonly models: readonly SimulatedModel[];
  readonly embeddingModel?: string;
}

const skills = (...values: readonly number[]) =>
  Object.fromEntries(topics.map((topic, at) => [topic, values[at] ?? 0.5])) as Record<
    Topic,
    number
  >;

export const simulatedVendors: readonly SimulatedVendor[] = [
  {
    name: "sim-north",
    dialect: "openai-chat",
    embeddingModel: "sim-embed",
    models: [
      {
        name: "sim-swift",
        sizeB: 3,
        inputUsdPerMtok: 0.1,
        outputUsdPerMtok: 0.4,
        firstTokenMs: 60,
        tokensPerSecond: 220,
        verbosity: 0.7,
        //            code maths law  transl writing talk facts extract
        skill: skills(0.4, 0.3, 0.33, 0.5, 0.52, 0.93, 0.64, 0.66),
      },
      {
        name: "sim-coder",
        sizeB: 16,
        inputUsdPerMtok: 0.6,
        outputUsdPerMtok: 2.4,
        firstTokenMs: 110,
        tokensPerSecond: 140,
        verbosity: 1,
        skill: skills(0.93, 0.58, 0.3, 0.37, 0.38, 0.7, 0.48, 0.91),
      },
    ],
  },
  {
    name: "sim-delta",
    dialect: "openai-chat",
    models: [
      {
        name: "sim-abacus",
        sizeB: 24,
        inputUsdPerMtok: 0.8,
        outputUsdPerMtok: 3.2,
        firstTokenMs: 130,
        tokensPerSecond: 120,
        verbosity: 0.9,
        skill: skills(0.6, 0.94, 0.33, 0.34, 0.32, 0.66, 0.52, 0.64),
      },
      {
        name: "sim-sage",
        sizeB: 200,
        inputUsdPerMtok: 5,
        outputUsdPerMtok: 20,
        firstTokenMs: 260,
        tokensPerSecond: 80,
        verbosity: 1.2,
        skill: skills(0.8, 0.78, 0.93, 0.76, 0.78, 0.92, 0.93, 0.8),
      },
    ],
  },
  {
    name: "sim-lyric",
    dialect: "anthropic",
    models: [
      {
        name: "sim-lyra",
        sizeB: 40,
        inputUsdPerMtok: 1.2,
        outputUsdPerMtok: 6,
        firstTokenMs: 150,
        tokensPerSecond: 110,
        verbosity: 1.1,
        skill: skills(0.42, 0.36, 0.56, 0.94, 0.93, 0.95, 0.64, 0.6),
      },
    ],
  },
];

export const simulatedModels = simulatedVendors.flatMap((vendor) => vendor.models);

/** What decides how good an answer is, beside the model. */
export interface SimulatedQuestion {
  readonly text: string;
  readonly topic: Topic;
  readonly kind: string;
  readonly difficulty: number;
}

/**
 * The hidden truth: how good a model's answer to a text is, in [0, 1]. The same for the same seed,
 * model and text. A hard prompt costs every model; within a topic each kind of question suits one
 * model more than another, which a few examples do not tell and many do; and so does each text, which
 * nothing tells.
 */
export function trueQuality(
  { name, skill }: SimulatedModel,
  { text, topic, kind, difficulty }: SimulatedQuestion,
  seed: number,
): number {
  const usual = skill[topic];
  const logit = Math.log(usual / (1 - usual)) - 2.2 * (difficulty - 0.5);
  const knack = (uniform(`${seed}\n${name}\n${kind}`) - 0.5) * knackSpan;
  const luck = (uniform(`${seed}\n${name}\n${text}`) - 0.5) * luckSpan;
  return 1 / (1 + Math.exp(-(logit + knack + luck)));
}

/** From the worst to the best, on the scale of log odds. */
const knackSpan = 1.8;
const luckSpan = 0.8;

/** A number in [0, 1) that only the text decides. */
export function uniform(text: string): number {
  return Number(BigInt(Bun.hash(text)) >> 11n) / 2 ** 53;
}
