/**
 * A user's module as a router: its scores are the qualities, and the rest of the decision (filters,
 * cost, dial, conversations) is as for any other. Before it decides anything it answers the golden
 * queries.
 */
import type { RoutingQuery } from "../../domain/features.ts";
import type { FeatureExtractor } from "../../embedding/embedder.ts";
import { goldenQueries } from "../self-test.ts";
import type { QueryScores, TrainedRouter } from "../trained-router.ts";
import { type ModuleQuery, ModuleRefused, type OpenedModule } from "./contract.ts";

/** Scores of one query may differ between two times by so much. */
const tolerance = 1e-6;

export interface Checked {
  readonly query: string;
  readonly scores?: Float32Array;
  readonly tookMs: number;
  readonly problem?: string;
}

type Scoring = Pick<OpenedModule, "models" | "score">;

/** What a module answers the golden queries, each asked twice. Never throws. */
export async function checkModule(
  module: Scoring,
  extractor: FeatureExtractor,
  nowUs: () => number,
): Promise<readonly Checked[]> {
  const all: Checked[] = [];
  for (const query of goldenQueries) {
    const told = query.text.replace(/\s+/g, " ").slice(0, 40) || "(an empty text)";
    const asked = (await toModuleQuery(query, extractor)).told;
    const startedUs = nowUs();
    try {
      const scores = await module.score(asked);
      const tookMs = (nowUs() - startedUs) / 1000;
      const again = await module.score(asked);
      const moved = scores.findIndex((score, n) => Math.abs(score - (again[n] ?? 0)) > tolerance);
      const problem =
        moved < 0
          ? undefined
          : `it scores the same query differently: ${scores[moved]}, then ${again[moved]} for ${module.models[moved]}`;
      all.push({ query: told, scores, tookMs, ...(problem ? { problem } : {}) });
    } catch (thrown) {
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      all.push({ query: told, tookMs: (nowUs() - startedUs) / 1000, problem });
    }
  }
  return all;
}

/** @throws ModuleRefused with the first thing that is wrong */
export function assertSound(checked: readonly Checked[]): void {
  const wrong = checked.find(({ problem }) => problem !== undefined);
  if (wrong) throw new ModuleRefused(`asked "${wrong.query}": ${wrong.problem}`);
}

export interface ModuleRouterOptions {
  readonly module: Scoring;
  readonly extractor: FeatureExtractor;
  readonly name: string;
  readonly sha256: string;
  /** What a call costs on the average of the candidates: the unit of the dial's price. */
  readonly costRefUsd: number;
  readonly checked: readonly Checked[];
}

export function createModuleRouter(options: ModuleRouterOptions): TrainedRouter {
  const { module, extractor, name, sha256, costRefUsd, checked } = options;
  const m = module.models.length;
  const unknown = new Float32Array(m).fill(Number.NaN);
  return {
    identity: { name, version: 0, sha256 },
    strategy: "llmrouter-custom",
    embedderId: extractor.embedder.id,
    labels: module.models,
    labelQuality: meanOf(checked, m),
    labelCostUsd: unknown,
    costRefUsd,
    dial: [],
    sync: false,
    async score(query): Promise<QueryScores> {
      const { told, features } = await toModuleQuery(query, extractor);
      const quality = await module.score(told);
      return {
        features,
        quality,
        uncertainty: unknown,
        outputTokens: unknown,
        costUsd: unknown,
        latencyMs: unknown,
        novelty: 0,
        abstain: false,
      };
    },
    scoreFeatures() {
      throw new Error("a module of the operator's own scores texts, and the log has none");
    },
    close: () => undefined, // the process belongs to whoever started it
  };
}

async function toModuleQuery(query: RoutingQuery, extractor: FeatureExtractor) {
  const features = await extractor.extract(query);
  const told: ModuleQuery = {
    text: query.text,
    tools: query.tools.map(({ name }) => name),
    embedding: features.embedding.slice(),
  };
  return { told, features };
}

/** The prior of models that the module does not know is a line through these. */
function meanOf(checked: readonly Checked[], m: number): Float32Array {
  const known = checked.flatMap(({ scores }) => (scores ? [scores] : []));
  return Float32Array.from(
    { length: m },
    (_, n) => known.reduce((sum, scores) => sum + (scores[n] ?? 0), 0) / Math.max(1, known.length),
  );
}
