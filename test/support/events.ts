/** Call events for tests: any that the types allow, from a seed. */
import type { CandidateScore, Decision, Receipt } from "../../src/domain/decision.ts";
import type { CallEvent } from "../../src/domain/event.ts";
import type { RawFeatures } from "../../src/domain/features.ts";
import { createRandom, nextInt, nextNormal, type Random } from "../../src/std/random.ts";

/** A successful learned call, small and always the same but for its number. */
export function callEvent(n: number, changes: Partial<Receipt> = {}): CallEvent {
  return { ...anyEvent(createRandom(n)), receipt: { ...plainReceipt(n), ...changes } };
}

/** A call as a learned router makes it: five candidates, eight neighbours, all features. */
export function learnedEvent(n: number): CallEvent {
  const models = ["openai/large", "openai/small", "anthropic/large", "groq/fast", "mistral/mid"];
  const random = createRandom(n);
  const candidates = models.map((model, rank) => ({
    model,
    group: "auto",
    quality: Math.fround(random.next()),
    uncertainty: Math.fround(random.next() / 5),
    costUsd: random.next() / 100,
    outputTokens: Math.fround(random.next() * 500),
    utility: random.next(),
    probability: rank === 0 ? 1 : 0,
  }));
  const attempt = {
    deployment: "0123456789abcdef0123456789abcdef",
    model: "openai/large",
    provider: "openai",
    startedAtMs: 1_764_000_000_000 + n,
    durationMs: 500 * random.next(),
    status: 200,
    outcome: "ok",
    because: "first",
  } as const;
  return {
    tenant: "default",
    inputTokens: 150,
    receipt: {
      ...plainReceipt(n),
      decision: {
        strategy: "llmrouter-knn",
        artifact: "router@12",
        reason: "utility",
        candidates,
        chosen: "openai/large",
        dial: { tradeoff: 0.5 },
        novelty: random.next(),
        neighbours: Array.from({ length: 8 }, () => ({
          row: nextInt(random, 1000),
          similarity: random.next(),
        })),
        decisionUs: random.next() * 30,
      },
      attempts: [attempt],
      deployment: attempt.deployment,
      finishReason: "stop",
    },
    queryHash: "0123456789abcdef".repeat(4),
    queryLength: 600,
    sessionHash: "0123456789abcdef".repeat(4),
    features: {
      embedderId: "static@0123456789abcdef",
      embedding: new Float32Array(256).map(() => nextNormal(random) / 16),
      lexicalBuckets: new Uint16Array(180).map((_, at) => at * 91),
      lexicalCounts: new Uint8Array(180).fill(1),
      shape: new Float32Array(24).map(() => random.next()),
    },
  };
}

export function callIdOf(n: number): string {
  return `0199a1b2-0000-7000-8000-${String(n).padStart(12, "0")}`;
}

function plainReceipt(n: number): Receipt {
  return {
    callId: callIdOf(n),
    requestId: `request-${n}`,
    atMs: 1_764_000_000_000 + n,
    caller: "master",
    requestedModel: "auto",
    operation: "chat",
    stream: false,
    decision: anyDecision(createRandom(n)),
    attempts: [],
    outcome: "success",
    usage: { inputTokens: 10, outputTokens: 20 },
    costMicroUsd: 1234,
    timings: { decisionUs: 12.5, overheadUs: 80, firstTokenMs: 210, totalMs: 500 },
    feedback: [],
  };
}

/** Whatever the types allow: each optional field there or not, odd text, long arrays and none. */
export function anyEvent(random: Random, id = nextInt(random, 1e9)): CallEvent {
  const maybe = <T>(key: string, make: () => T) => (random.next() < 0.5 ? { [key]: make() } : {});
  const receipt: Receipt = {
    callId: callIdOf(id),
    requestId: anyText(random),
    atMs: 1_764_000_000_000 + nextInt(random, 1e9),
    caller: anyText(random),
    requestedModel: anyText(random),
    operation: random.next() < 0.5 ? "chat" : "embedding",
    stream: random.next() < 0.5,
    ...maybe("decision", () => anyDecision(random)),
    attempts: list(random, 3, () => ({
      deployment: anyText(random),
      model: anyText(random),
      provider: anyText(random),
      startedAtMs: nextInt(random, 1e9),
      durationMs: random.next() * 1000,
      status: 200 + nextInt(random, 300),
      outcome: random.next() < 0.5 ? ("ok" as const) : ("failed" as const),
      ...maybe("error", () => anyText(random)),
      because: "first" as const,
      ...maybe("costMicroUsd", () => nextInt(random, 1e9)),
    })),
    ...maybe("deployment", () => anyText(random)),
    outcome: (["success", "failure", "cancelled", "truncated"] as const)[nextInt(random, 4)] as
      | "success"
      | "failure",
    ...maybe("error", () => anyText(random)),
    ...maybe("finishReason", () => anyText(random)),
    ...maybe("form", () => ({
      of: random.next() < 0.5 ? ("json" as const) : ("tool_call" as const),
      valid: random.next() < 0.5,
    })),
    ...maybe("usage", () => ({
      inputTokens: nextInt(random, 1e5),
      outputTokens: nextInt(random, 1e5),
      ...maybe("cachedInputTokens", () => nextInt(random, 1e5)),
      ...maybe("estimated", () => random.next() < 0.5),
    })),
    ...maybe("costMicroUsd", () => nextInt(random, 1e9)),
    timings: {
      decisionUs: random.next() * 100,
      overheadUs: random.next() * 1000,
      ...maybe("queuedMs", () => random.next() * 1000),
      ...maybe("firstTokenMs", () => random.next() * 1000),
      totalMs: random.next() * 10_000,
    },
    feedback: [],
  };
  return {
    receipt,
    tenant: anyText(random),
    ...maybe("queryHash", () => anyText(random)),
    ...maybe("queryLength", () => nextInt(random, 1e6)),
    ...maybe("sessionHash", () => anyText(random)),
    ...maybe("userHash", () => anyText(random)),
    ...maybe("features", () => anyFeatures(random)),
    ...maybe("inputTokens", () => nextInt(random, 1e6)),
    ...maybe("prompt", () => anyText(random)),
    ...maybe("trace", () => ({
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      sampled: random.next() < 0.5,
    })),
  };
}

function anyDecision(random: Random): Decision {
  const maybe = <T>(key: string, make: () => T) => (random.next() < 0.5 ? { [key]: make() } : {});
  const candidates = list(
    random,
    6,
    (): CandidateScore => ({
      model: anyText(random),
      group: anyText(random),
      ...maybe("filtered", () => "context_window" as const),
      ...maybe("quality", () => Math.fround(random.next())),
      ...maybe("uncertainty", () => nextNormal(random) ** 2),
      ...maybe("costUsd", () => random.next() * 1e-9),
      probability: random.next(),
    }),
  );
  return {
    strategy: "llmrouter-knn",
    artifact: `router@${nextInt(random, 100)}`,
    reason: "utility",
    candidates,
    chosen: candidates[0]?.model ?? "none",
    ...maybe("dial", () => ({
      tradeoff: random.next(),
      ...maybe("latencyWeight", () => random.next()),
      ...maybe("floor", () => ({
        share: random.next(),
        model: anyText(random),
        ...maybe("violations", () => random.next()),
      })),
    })),
    ...maybe("exploration", () => ({
      mode: "thompson" as const,
      greedy: anyText(random),
      draw: random.next(),
      rate: random.next(),
      width: random.next(),
      arms: nextInt(random, 9),
    })),
    ...maybe("arm", () => ({
      ...maybe("experiment", () => anyText(random)),
      variant: anyText(random),
      probability: random.next(),
      bucket: nextInt(random, 100),
      buckets: 100,
      keyType: "session" as const,
      unit: nextInt(random, 10_000),
    })),
    ...maybe("online", () => nextInt(random, 1e6)),
    ...maybe("stay", () => ({ model: anyText(random), lostUsd: random.next() })),
    ...maybe("novelty", () => random.next()),
    ...maybe("neighbours", () =>
      list(random, 8, () => ({ row: nextInt(random, 1e4), similarity: random.next() })),
    ),
    decisionUs: random.next() * 100,
  };
}

function anyFeatures(random: Random): RawFeatures {
  const length = nextInt(random, 200);
  return {
    embedderId: "static@0123456789abcdef",
    embedding: new Float32Array(256).map(() => nextNormal(random) / 16),
    lexicalBuckets: new Uint16Array(length).map(() => nextInt(random, 65_536)).sort(),
    lexicalCounts: new Uint8Array(length).map(() => 1 + nextInt(random, 255)),
    shape: new Float32Array(nextInt(random, 24)).map(() => random.next()),
  };
}

const texts = [
  "",
  "a",
  "openai/gpt-4o",
  "naïve",
  "日本語",
  "😀 null",
  '"\\\n\u0000',
  "x".repeat(700),
];

function anyText(random: Random): string {
  return texts[nextInt(random, texts.length)] as string;
}

function list<T>(random: Random, limit: number, make: () => T): T[] {
  return Array.from({ length: nextInt(random, limit + 1) }, make);
}
