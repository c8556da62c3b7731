/**
 * The self-test that travels with a router: golden queries, and the scores that the trainer computed
 * for them. A server runs it before it lets the router decide anything.
 */
import { GatewayError } from "../domain/errors.ts";
import type { RoutingQuery } from "../domain/features.ts";
import { isObject } from "../domain/json.ts";
import { shapeNames } from "../embedding/shape.ts";
import type { Clock } from "../std/clock.ts";
import { noPause, type Pause } from "../std/pause.ts";
import { parseJson, routerPaths } from "./router-format.ts";
import type { ArtifactFiles, TrainedRouter } from "./trained-router.ts";

/** Scores may differ by so much: another processor family rounds differently. */
export const selfTestTolerance = 1e-6;
/** Median time of one decision, after one to warm up: on the serving thread, and in a worker, where
 * a sentence transformer reads a long text for a while. */
export const selfTestBudgetUs = { here: 50_000, inWorker: 1_000_000 } as const;
const limits = { queries: 64, textUnits: 16_384, dimensions: 8192 } as const;

/** Written here, never taken from training data: an artifact must not carry anybody's prompts. */
export const goldenQueries: readonly RoutingQuery[] = [
  { text: "What is the capital of France?", tools: [] },
  { text: "Explain the difference between TCP and UDP in two sentences.", tools: [] },
  {
    text: "def fib(n):\n    return n if n < 2 else fib(n-1) + fib(n-2)\nMake this linear.",
    tools: [],
  },
  { text: "If 3x + 7 = 25, what is x?\nA. 4\nB. 5\nC. 6\nD. 7", tools: [] },
  { text: "Übersetze ins Englische: Der Zug fährt um 17:45 Uhr ab.", tools: [] },
  { text: "请用一句话解释什么是光合作用。", tools: [] },
  { text: "", tools: [] },
  { text: `${"Summarise the following minutes. ".repeat(120)}Thank you!`, tools: [] },
  {
    text: "What is the weather in Oslo tomorrow, and should I take an umbrella?",
    tools: [
      {
        name: "get_weather_forecast",
        description: "Forecast for a city.",
        parameters: {
          type: "object",
          properties: { city: { type: "string", description: "Name of the city" } },
          required: ["city"],
        },
      },
    ],
  },
];

/** A golden query: a text, or the embedding alone, where an embedder may be far away. */
type Golden = RoutingQuery | { readonly embedding: readonly number[] };

/**
 * The two files of a router's self-test, as this machine computes them.
 * @param golden embeddings in the place of the texts: for a router that takes them as they are
 */
export async function createSelfTest(
  router: TrainedRouter,
  golden: readonly Golden[] = goldenQueries,
): Promise<Map<string, Uint8Array>> {
  const scores = [];
  for (const query of golden) scores.push(await scoreOf(router, query));
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  return new Map([
    [routerPaths.queries, encode(golden)],
    [routerPaths.scores, encode(scores)],
  ]);
}

/**
 * @throws GatewayError artifact_refused when a score is not finite, differs by more than 1e-6 from
 * the trainer's, or takes too long.
 */
export async function runSelfTest(
  router: TrainedRouter,
  files: ArtifactFiles,
  clock: Clock,
  pause: Pause = noPause,
): Promise<void> {
  const queries = readQueries(read(files, routerPaths.queries));
  const expected = read(files, routerPaths.scores);
  if (!Array.isArray(expected) || expected.length !== queries.length) {
    refuse(`${routerPaths.scores} does not hold one entry per query`);
  }
  const timesUs: number[] = [];
  const first = ask(router, queries[0] as Golden);
  const budgetUs = selfTestBudgetUs[first instanceof Promise ? "inWorker" : "here"];
  await first;
  await pause();
  for (const [at, query] of queries.entries()) {
    const startedUs = clock.monotonicUs();
    const scores = await scoreOf(router, query);
    timesUs.push(clock.monotonicUs() - startedUs);
    const wanted: unknown = expected[at];
    if (!isObject(wanted)) refuse(`${routerPaths.scores}: entry ${at} is not an object`);
    for (const [name, values] of Object.entries(scores)) compare(values, wanted[name], name, at);
    await pause();
  }
  const median = timesUs.sort((a, b) => a - b)[timesUs.length >> 1] ?? 0;
  if (median > budgetUs) {
    refuse(`a decision takes ${Math.round(median)} µs, over the budget of ${budgetUs} µs`);
  }
}

function compare(values: readonly (number | null)[], wanted: unknown, name: string, at: number) {
  if (!Array.isArray(wanted) || wanted.length !== values.length) {
    refuse(`${routerPaths.scores}: entry ${at} has no ${name} for every model`);
  }
  values.forEach((value, j) => {
    const other: unknown = wanted[j];
    const same =
      value === null
        ? other === null
        : typeof other === "number" &&
          Math.abs(value - other) <= selfTestTolerance * Math.max(1, Math.abs(other));
    if (!same) refuse(`query ${at}, ${name} ${j}: computed ${value}, the trainer had ${other}`);
  });
}

/** Quality must be finite; what a router does not know (a cost, say) is null. */
async function scoreOf(router: TrainedRouter, query: Golden) {
  const scores = await ask(router, query);
  if (!scores.quality.every(Number.isFinite) || !Number.isFinite(scores.novelty)) {
    refuse("a score is not a finite number");
  }
  const list = (values: Float32Array) =>
    Array.from(values, (value) => (Number.isFinite(value) ? value : null));
  return {
    quality: list(scores.quality),
    output_tokens: list(scores.outputTokens),
    cost_usd: list(scores.costUsd),
    novelty: [scores.novelty],
  };
}

function ask(router: TrainedRouter, query: Golden) {
  if (!("embedding" in query)) return router.score(query);
  return router.scoreFeatures({
    embedderId: router.embedderId,
    embedding: Float32Array.from(query.embedding),
    lexicalBuckets: new Uint16Array(),
    lexicalCounts: new Uint8Array(),
    shape: new Float32Array(shapeNames.length),
  });
}

function read(files: ArtifactFiles, path: string): unknown {
  const bytes = files.get(path);
  if (!bytes) refuse(`the artifact has no ${path}`);
  return parseJson(bytes, path);
}

function readQueries(value: unknown): readonly Golden[] {
  const sound = (query: unknown) =>
    isObject(query) &&
    (isEmbedding(query["embedding"]) ||
      (typeof query["text"] === "string" &&
        query["text"].length <= limits.textUnits &&
        Array.isArray(query["tools"]) &&
        query["tools"].every((tool) => isObject(tool) && typeof tool["name"] === "string")));
  if (
    !Array.isArray(value) ||
    value.length === 0 ||
    value.length > limits.queries ||
    !value.every(sound)
  ) {
    refuse(`${routerPaths.queries} holds no sound queries`);
  }
  return value as readonly Golden[];
}

function isEmbedding(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= limits.dimensions &&
    value.every((number) => Number.isFinite(number))
  );
}

function refuse(why: string): never {
  throw new GatewayError("artifact_refused", `self-test: ${why}`);
}
