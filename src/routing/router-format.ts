/**
 * What a trained router is made of, as files: `router.json` (this schema), `weights.safetensors`,
 * and the golden queries and scores of its self-test. Format `routeiq-router`, see ARTIFACTS.
 */
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { GatewayError } from "../domain/errors.ts";

export const routerFormat = "routeiq-router";
export const routerPaths = {
  router: "router.json",
  weights: "weights.safetensors",
  queries: "selftest/queries.json",
  scores: "selftest/scores.json",
} as const;

const Finite = Type.Number({ minimum: -1e12, maximum: 1e12 });

export const RouterFile = Type.Object({
  format: Type.Literal(routerFormat),
  feature_schema: Type.Integer({ minimum: 1 }),
  strategy: Type.String({ minLength: 1, maxLength: 64 }),
  /** "embedding": the strategy takes the embedding as it is. Otherwise features are learnt from it. */
  input: Type.Optional(Type.Literal("embedding")),
  /** Options as trained with, defaults filled in: for the reader. */
  options: Type.Record(Type.String(), Type.Unknown()),
  embedder: Type.Object({
    id: Type.String({ minLength: 1, maxLength: 128 }),
    sha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
    dimensions: Type.Integer({ minimum: 0, maximum: 8192 }),
  }),
  labels: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
    minItems: 1,
    maxItems: 1024,
    uniqueItems: true,
  }),
  /** What the strategy keeps beside its tensors. */
  learned: Type.Record(Type.String(), Type.Unknown()),
  /** How far predictions stand from the global table: 0 (not at all) to 1. */
  shrink: Type.Number({ minimum: 0, maximum: 1 }),
  /** Similarity to the nearest cluster: at `near` and above a query is like the training data, at
   * `far` and below unlike anything in it. */
  novelty: Type.Object({ near: Finite, far: Finite }),
  cost_ref_usd: Type.Number({ minimum: 0, maximum: 1e6 }),
  /** Mean latency of the slowest model; missing where none was measured. */
  latency_ref_ms: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
  /** From the best quality to the least cost. */
  dial: Type.Array(
    Type.Object({
      lambda: Type.Number({ minimum: 0, maximum: 1e12 }),
      mean_quality: Finite,
      mean_cost_usd: Finite,
      /** Index of the label that answers every query at this point. */
      fixed: Type.Optional(Type.Integer({ minimum: 0, maximum: 4095 })),
    }),
    { maxItems: 1024 },
  ),
  /** Axes of the tensor `router.floors`, see floors.ts; missing where floors could not be tested. */
  floors: Type.Optional(
    Type.Object({
      confidence: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
      rows: Type.Integer({ minimum: 1 }),
      shares: Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 1 }), { maxItems: 64 }),
      rates: Type.Array(Type.Number({ minimum: 0, exclusiveMaximum: 1 }), { maxItems: 64 }),
    }),
  ),
  /** Training rows behind it. */
  rows: Type.Integer({ minimum: 0 }),
});
export type RouterFile = Static<typeof RouterFile>;

/** @throws GatewayError artifact_refused, naming the first field that is wrong. */
export function parseRouterFile(bytes: Uint8Array): RouterFile {
  const value = parseJson(bytes, routerPaths.router);
  if (Value.Check(RouterFile, value)) return value;
  const [first] = [...Value.Errors(RouterFile, value)];
  const where = first ? `${first.path || "/"}: ${first.message}` : "not a router";
  throw new GatewayError("artifact_refused", `${routerPaths.router}: ${where}`);
}

/** @throws GatewayError artifact_refused */
export function parseJson(bytes: Uint8Array, path: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new GatewayError("artifact_refused", `${path} is not JSON in UTF-8`, { cause });
  }
}
