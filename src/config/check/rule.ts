/** What a rule of the check is given. */
import type { Config, RoutingStrategyArgs } from "../config.ts";
import type { Report } from "../report.ts";
import type { Path, Spot } from "../yaml.ts";

/** What the registries serve, handed in by those who know them. */
export interface KnownNames {
  /** Learned strategies: `llmrouter-knn` … */
  readonly strategies: readonly string[];
  /** Of these, the ones that need no trained router. */
  readonly untrained?: readonly string[];
  /** Of those, the ones that take a trained router where `model_path` names one. */
  readonly maybeTrained?: readonly string[];
  /** What decides for a learned strategy while it has no trained router, in words. */
  readonly untrainedChoice?: (strategy: string, args: RoutingStrategyArgs) => string;
  /** Balancers, aliases included. */
  readonly balancers: readonly string[];
  /** The strategy that takes another as `inner_strategy`, and what that may be. */
  readonly nesting?: { readonly name: string; readonly inner: readonly string[] };
  /** The predecessor's strategies that are not served yet. */
  readonly notServed: readonly string[];
  /**
   * What keeps a strategy from working as its options say: the key, and the way out. `serves`: whether
   * a name leads to a model, as far as is known.
   */
  readonly findProblem?: (
    strategy: string,
    args: RoutingStrategyArgs,
    is: {
      readonly serves: (name: string) => boolean;
      /** Whether a local path is there; true where nobody can look. */
      readonly exists: (path: string) => boolean;
    },
  ) => { readonly key: string; readonly message: string; readonly remedy: string } | undefined;
}

export interface CheckOptions {
  readonly known: KnownNames;
  /** Whether a local path exists; without it paths are not looked at. */
  readonly exists?: (path: string) => boolean;
}

export interface Check extends CheckOptions {
  readonly config: Config;
  readonly report: Report;
  readonly spot: (path: Path) => Spot;
}
