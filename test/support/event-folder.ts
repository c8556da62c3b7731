/**
 * A data folder with as many calls as are asked for, as a gateway writes them: features of made-up
 * queries about some topics, one model's outcome each, feedback on nine of ten. What a model is worth
 * depends on the topic, so there is something to learn.
 */
import { join } from "node:path";
import type { Feedback, Receipt } from "../../src/domain/decision.ts";
import type { CallEvent } from "../../src/domain/event.ts";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createRandom, nextInt, type Random } from "../../src/std/random.ts";
import { eventFileName } from "../../src/storage/event-log.ts";
import { openEventStore } from "../../src/storage/sqlite/event-store.ts";
import { callIdOf } from "./events.ts";

export const eventModels = ["large", "medium", "small", "coder", "poet", "tiny", "wide", "deep"];
const topicCount = 200;
const wordsPerTopic = 60;
const domains = 5;

const syllables = ["ba", "ko", "li", "mer", "tan", "su", "vel", "dor", "ni", "pha", "ru", "ges"];

/** A word that is the same for a number wherever it is asked for. */
function wordOf(number: number): string {
  const at = (shift: number) => syllables[Math.floor(number / shift) % syllables.length] ?? "";
  return `${at(1)}${at(12)}${at(144)}${at(1728)}`;
}

/** Some 45 words: of a topic, of its domain, and common to all. */
export function makeText(random: Random, topic: number): string {
  const length = 25 + nextInt(random, 40);
  return Array.from({ length }, () => {
    const common = random.next() < 0.3;
    return wordOf(
      common ? nextInt(random, 200) : 200 + topic * 37 + nextInt(random, wordsPerTopic),
    );
  }).join(" ");
}

/** Probability that a model's answer is good: each is strong in one domain, and in some topics. */
export function worth(model: number, topic: number): number {
  const domain = topic % domains === model % domains ? 0.3 : 0;
  const special = (model * 31 + topic * 17) % 7 === 0 ? 0.2 : 0;
  return Math.min(0.95, 0.3 + 0.03 * model + domain + special);
}

export async function writeEventFolder(folder: string, count: number, seed = 1): Promise<void> {
  const store = openEventStore(join(folder, eventFileName));
  const { extract } = createFeatureExtractor(createStaticEmbedder());
  const random = createRandom(seed);
  const events: CallEvent[] = [];
  const feedback: Feedback[] = [];
  for (let n = 0; n < count; n++) {
    const topic = nextInt(random, topicCount);
    const model = nextInt(random, eventModels.length);
    const text = makeText(random, topic);
    const inputTokens = text.length >> 2;
    const receipt = toReceipt(random, { n, model, inputTokens });
    events.push({
      tenant: "default",
      queryHash: Bun.hash(text).toString(16).padStart(64, "0"),
      queryLength: text.length,
      sessionHash: `${Math.floor(n / 3)}`.padStart(64, "0"),
      features: await extract({ text, tools: [] }),
      inputTokens,
      receipt,
    });
    if (random.next() < 0.9) {
      const score = random.next() < worth(model, topic) ? 1 : 0;
      const { callId, atMs } = receipt;
      feedback.push({ callId, score, source: "user", atMs: atMs + 60_000 });
    }
    if (events.length < 512 && n + 1 < count) continue;
    store.insert(events.splice(0));
    for (const one of feedback.splice(0)) store.addFeedback(one);
  }
  store.close();
}

interface CallFacts {
  readonly n: number;
  readonly model: number;
  readonly inputTokens: number;
}

function toReceipt(random: Random, { n, model: at, inputTokens }: CallFacts): Receipt {
  const model = eventModels[at] ?? "";
  const outputTokens = 50 + nextInt(random, 300);
  const durationMs = outputTokens * 12;
  const atMs = 1_764_000_000_000 + n * 50;
  return {
    callId: callIdOf(n),
    requestId: `request-${n}`,
    atMs,
    caller: "master",
    requestedModel: "auto",
    operation: "chat",
    stream: false,
    decision: {
      strategy: "simple-shuffle",
      artifact: "none",
      reason: "static",
      candidates: eventModels.map((name) => ({
        model: name,
        group: "auto",
        probability: 1 / eventModels.length,
      })),
      chosen: model,
      decisionUs: 5,
    },
    attempts: [
      {
        deployment: model,
        model,
        provider: "openai",
        startedAtMs: atMs,
        durationMs,
        status: 200,
        outcome: "ok",
        because: "first",
      },
    ],
    outcome: "success",
    usage: { inputTokens, outputTokens },
    costMicroUsd: (inputTokens + 3 * outputTokens) * (8 - at),
    timings: { decisionUs: 5, overheadUs: 60, totalMs: durationMs },
    feedback: [],
  };
}
