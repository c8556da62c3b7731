/**
 * The contract of a user's own router, `llmrouter-custom`: a query's text and features in, a quality
 * in [0, 1] per model out. What the three kinds of module export: docs/custom-routers.md.
 */

/** What a module is told of a query. */
export interface ModuleQuery {
  /** The text that routing sees: the last user turn, with a bounded part of what came before. */
  readonly text: string;
  /** Names of the request's tools. */
  readonly tools: readonly string[];
  /** The sentence embedding, of unit length. */
  readonly embedding: Float32Array;
}

/** What a TypeScript or JavaScript module exports, by name or as its default. */
export interface ScoringModule {
  /** The models it knows, in the order of its scores. Default: those of `init`. */
  readonly models?: readonly string[];
  /** Called once, before the first query. */
  init?(settings: { readonly models: readonly string[] }): unknown;
  /** Scores in the order of the models, or by their names. */
  score(query: ModuleQuery): ModuleScores | Promise<ModuleScores>;
}

export type ModuleScores = ArrayLike<number> | Readonly<Record<string, number>>;

/** A module that has been loaded, whatever its kind. */
export interface OpenedModule {
  readonly models: readonly string[];
  score(query: ModuleQuery): Promise<Float32Array>;
}

export interface ModuleSettings {
  /** Absolute. */
  readonly path: string;
  /** The configuration's candidates. */
  readonly models: readonly string[];
  /** `module_models`: the order of the scores, where the module cannot say it itself. */
  readonly named?: readonly string[];
}

/** The module breaks the contract: asking again will not help. The message says how. */
export class ModuleRefused extends Error {
  override readonly name = "ModuleRefused";
  readonly code = "module_refused";
}

export const moduleLimits = {
  /** Of `module_timeout_ms`: a query. */
  scoreMs: 100,
  /** Loading, `init` and the first query. */
  openMs: 15_000,
  /** Of `module_memory_mb`: resident memory of its process. */
  memoryMb: 512,
  /** Queries that may wait for the module at once. */
  waiting: 64,
  models: 1_024,
  /** An ONNX or WebAssembly file. */
  fileBytes: 512 * 1024 * 1024,
} as const;

/** Of the kind's own file names. */
export const moduleKinds = {
  script: /\.(ts|mts|js|mjs)$/i,
  wasm: /\.wasm$/i,
  onnx: /\.onnx$/i,
} as const;

export type ModuleKind = keyof typeof moduleKinds;

export function kindOf(path: string): ModuleKind | undefined {
  return (Object.keys(moduleKinds) as ModuleKind[]).find((kind) => moduleKinds[kind].test(path));
}

/** @throws ModuleRefused where there is not a number from 0 to 1 for every model. */
export function readScores(result: unknown, models: readonly string[]): Float32Array {
  if (typeof result !== "object" || result === null) {
    throw new ModuleRefused("score() gave neither a list of numbers nor an object of them");
  }
  const listed = "length" in result && typeof result.length === "number";
  if (listed && result.length !== models.length) {
    throw new ModuleRefused(`score() gave ${result.length} scores for ${models.length} models`);
  }
  const values = result as Readonly<Record<string, unknown>>;
  return Float32Array.from(models, (model, n) => {
    const value = values[listed ? String(n) : model];
    if (typeof value === "number" && value >= 0 && value <= 1) return value;
    const said = value === undefined ? "no score" : `the score ${String(value).slice(0, 40)}`;
    throw new ModuleRefused(`score() gave ${said} for ${model}; a score is a number from 0 to 1`);
  });
}
