/**
 * Golden queries and the scores that the trainer computed for them: a router that was just loaded
 * must compute the same before it may serve. Files of an artifact: `routerPaths.queries`, `.scores`.
 */
import { GatewayError } from "../domain/errors.ts";
import type { RoutingQuery } from "../domain/features.ts";
import { isObject } from "../domain/json.ts";
import type { Clock } from "../std/clock.ts";
import type { QueryScores, TrainedRouter } from "./trained-router.ts";

export interface SelfTestFiles {
  /** JSON: [{"text", "tools"?}, …] */
  readonly queries: Uint8Array;
  /** JSON, per query: {"quality", "output_tokens", "cost_usd", "latency_ms": [per label], "novelty"} */
  readonly scores: Uint8Array;
}

/** Equal within this much, relative to what is over 1 (DESIGN §3: across processor families). */
const tolerance = 1e-6;
export const selfTestQueries = { least: 1, most: 256 } as const;
/** Mean time a query may take, after one for warmth: far above any honest router's. */
const meanBudgetMs = { sync: 5, async: 250 } as const;

type Row = Readonly<Record<(typeof fields)[number], readonly (number | null)[]>> & {
  readonly novelty: number;
};
const fields = ["quality", "output_tokens", "cost_usd", "latency_ms"] as const;

/** The self-test of a router, as its trainer writes it; the same router gives the same bytes. */
export async function createSelfTest(
  router: TrainedRouter,
  queries: readonly RoutingQuery[],
): Promise<SelfTestFiles> {
  const rows: Row[] = [];
  for (const query of queries) rows.push(toRow(await router.score(query)));
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  return { queries: encode(queries), scores: encode(rows) };
}

/** @throws GatewayError artifact_refused, with the query and label that differ */
export async function runSelfTest(
  router: TrainedRouter,
  files: SelfTestFiles,
  clock: Clock,
): Promise<void> {
  const queries = parseList(files.queries, "queries").map(toQuery);
  const expected = parseList(files.scores, "scores");
  if (queries.length !== expected.length || queries.length < selfTestQueries.least) {
    fail(`${queries.length} queries and ${expected.length} scores`);
  }
  if (queries.length > selfTestQueries.most) fail(`more than ${selfTestQueries.most} queries`);
  await router.score(queries[0] as RoutingQuery);
  let spentUs = 0;
  for (const [i, query] of queries.entries()) {
    const startUs = clock.monotonicUs();
    const scored = router.score(query);
    const scores = scored instanceof Promise ? await scored : scored;
    spentUs += clock.monotonicUs() - startUs;
    compare(toRow(scores), expected[i], router.labels, i);
    // The serving thread has calls to answer in between.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const meanMs = spentUs / 1000 / queries.length;
  const budget = router.sync ? meanBudgetMs.sync : meanBudgetMs.async;
  if (meanMs > budget) fail(`a decision takes ${meanMs.toFixed(1)} ms, over ${budget} ms`);
}

function toRow(scores: QueryScores): Row {
  const list = (values: Float32Array) => Array.from(values, (v) => (Number.isNaN(v) ? null : v));
  return {
    quality: list(scores.quality),
    output_tokens: list(scores.outputTokens),
    cost_usd: list(scores.costUsd),
    latency_ms: list(scores.latencyMs),
    novelty: scores.novelty,
  };
}

function compare(found: Row, expected: unknown, labels: readonly string[], query: number): void {
  if (!isObject(expected)) fail(`scores[${query}] is not an object`);
  if (found.quality.some((value) => value === null || !Number.isFinite(value))) {
    fail(`query ${query}: a predicted quality is not a finite number`);
  }
  for (const field of fields) {
    const wanted = expected[field];
    if (!Array.isArray(wanted) || wanted.length !== labels.length) {
      fail(`scores[${query}].${field} has not one value per label`);
    }
    for (const [label, value] of wanted.entries()) {
      if (!alike(found[field][label], value)) {
        const got = `${found[field][label]}, the trainer had ${String(value)}`;
        fail(`query ${query}, ${field} of ${labels[label]}: ${got}`);
      }
    }
  }
  if (!alike(found.novelty, expected["novelty"])) fail(`query ${query}: novelty ${found.novelty}`);
}

function alike(found: number | null | undefined, expected: unknown): boolean {
  if (found === null || expected === null) return found === expected;
  if (typeof found !== "number" || typeof expected !== "number") return false;
  return Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected));
}

function parseList(bytes: Uint8Array, what: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    value = undefined; // worded below
  }
  return Array.isArray(value) ? value : fail(`the ${what} are not a JSON list`);
}

function toQuery(value: unknown): RoutingQuery {
  const text = isObject(value) ? value["text"] : undefined;
  const tools = isObject(value) ? (value["tools"] ?? []) : [];
  if (typeof text !== "string" || !Array.isArray(tools)) fail("a query has no text");
  return { text, tools: tools.filter(isTool) };
}

function isTool(value: unknown): value is RoutingQuery["tools"][number] {
  return isObject(value) && typeof value["name"] === "string";
}

function fail(why: string): never {
  throw new GatewayError("artifact_refused", `self-test: ${why}`);
}
