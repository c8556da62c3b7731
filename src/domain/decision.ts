/** A routing decision and its receipt: what was considered, what was chosen, and why. */
import type { Usage } from "./usage.ts";

export type FilterReason =
  | "not_allowed"
  | "context_window"
  | "missing_tools"
  | "missing_vision"
  | "missing_json_schema"
  | "missing_audio"
  | "cooling_down"
  | "over_budget";

/** One candidate as the decision saw it. */
export interface CandidateScore {
  /** `litellm_params.model`. */
  readonly model: string;
  /** Groups that offer it. */
  readonly group: string;
  /** Set where the candidate was left out before ranking. */
  readonly filtered?: FilterReason;
  /** True where the artifact does not know it and its prior stands in. */
  readonly prior?: boolean;
  /** Predicted quality in [0, 1], and its standard deviation. */
  readonly quality?: number;
  readonly uncertainty?: number;
  /** Predicted cost in USD and the output tokens behind it. */
  readonly costUsd?: number;
  readonly outputTokens?: number;
  readonly latencyMs?: number;
  readonly utility?: number;
  /** Probability with which this decision picks it. 1 for a deterministic choice. */
  readonly probability: number;
}

export type DecisionReason =
  | "utility"
  | "floor"
  /** No routing could be shown to hold the floor: its own model answers, or the best there is. */
  | "infeasible"
  | "fixed"
  | "explored"
  | "abstained"
  /** By the catalog and the shape of the query: there is no trained router yet. */
  | "prior"
  | "cost_aware"
  | "sticky"
  | "single_candidate"
  | "named"
  | "verified"
  | "escalated"
  | "composed"
  | "static"
  | "fallback";

/** Where the dial stands: a trade-off in [0, 1], or a floor relative to a model. */
export interface Dial {
  readonly tradeoff: number;
  readonly floor?: Floor;
  /** μ of the utility: what quality one reference latency is worth. Unset: nothing. */
  readonly latencyWeight?: number;
}

export interface Floor {
  /** In (0, 1], of the model's quality. */
  readonly share: number;
  readonly model: string;
  /**
   * At most this share of the queries may be answered worse than `share` of the model's own answer.
   * Unset: the mean quality is held to `share` of the model's.
   */
  readonly violations?: number;
}

export const explorationModes = ["epsilon", "thompson", "linucb"] as const;
export type ExplorationMode = (typeof explorationModes)[number];

/** How a choice was drawn, with all that it takes to draw it again. */
export interface Exploration {
  readonly mode: ExplorationMode;
  /** The model that would have answered without a draw. */
  readonly greedy: string;
  /** Uniform in [0, 1): which candidate's share of the probabilities it fell into. */
  readonly draw: number;
  /** Share of draws that are even among the arms. */
  readonly rate: number;
  /** Standard deviations of an interval, and the scale of a posterior. */
  readonly width: number;
  /** Most arms of a draw. */
  readonly arms: number;
}

/** The conversation that a decision met. */
export interface Stay {
  /** What answered its last turn. */
  readonly model: string;
  /** What a change would lose of the provider's prompt cache, USD. */
  readonly lostUsd: number;
}

/** How a unit's hash was keyed: the predecessor's words, and `session`. */
export type HashKeyType = "tenant_user" | "user" | "session" | "request" | "random";

/** Which of several routers or settings decided: a canary beside the one in force, or a variant. */
export interface ArmChoice {
  /** Missing: no experiment, but a release that is tried out. */
  readonly experiment?: string;
  /** A variant's name; of a release that is tried out `canary` or `active`. */
  readonly variant: string;
  /** Share of units that are given it. */
  readonly probability: number;
  /** Where the unit's hash fell, of how many. */
  readonly bucket: number;
  readonly buckets: number;
  readonly keyType: HashKeyType;
  /** A number that all calls of one user or conversation share. */
  readonly unit: number;
}

export interface Decision {
  /** Strategy or balancer in force: `llmrouter-knn`, `simple-shuffle`. */
  readonly strategy: string;
  /** `name@version`, or "none". */
  readonly artifact: string;
  readonly reason: DecisionReason;
  /** Candidates, best first; the filtered ones last. */
  readonly candidates: readonly CandidateScore[];
  /** The chosen candidate's `model`. */
  readonly chosen: string;
  readonly dial?: Dial;
  /** Where several routers or settings are in force at once. */
  readonly arm?: ArmChoice;
  /** Where a draw decided. */
  readonly exploration?: Exploration;
  /** Where a conversation was met. */
  readonly stay?: Stay;
  /** Which state of online learning corrected the scores; missing: none. */
  readonly online?: number;
  /** 0: like the training data; 1: unlike anything in it. */
  readonly novelty?: number;
  /** Nearest training rows and their similarity, where the strategy has such a thing. */
  readonly neighbours?: readonly { readonly row: number; readonly similarity: number }[];
  readonly decisionUs: number;
  /** What a strategy that asks models has to say of how it came to this; nothing of the prompt. */
  readonly note?: string;
  /** Share of the verifier's verdicts in favour of the smaller model's answer. */
  readonly verification?: number;
}

/** A call that a strategy made on its way to the answer. */
export interface StrategyCall {
  /** `route`, `answer`, `verify`, `split`, `part`, `merge`, `reason`. */
  readonly purpose: string;
  /** Who answered, or was asked last; missing where nobody could be asked. */
  readonly model?: string;
  readonly deployment?: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly outcome: "ok" | "failed" | "cancelled";
  /** An ErrorCode. */
  readonly error?: string;
  readonly attempts: number;
  readonly usage?: Usage;
  /** Its own; the receipt's cost holds it. */
  readonly costMicroUsd?: number;
}

export interface AttemptRecord {
  readonly deployment: string;
  readonly model: string;
  readonly provider: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly status: number;
  readonly outcome: "ok" | "failed" | "cancelled";
  /** An ErrorCode. */
  readonly error?: string;
  /**
   * Why this attempt was made. `hedge`: the first was slow to begin. `continuation`: a stream broke
   * off, and this one went on from there.
   */
  readonly because: "first" | "retry" | "fallback" | "hedge" | "continuation";
  /** What it cost beside the attempt that answered last: it had begun, and another took its place. */
  readonly costMicroUsd?: number;
}

export interface Timings {
  readonly decisionUs: number;
  /** Time in the gateway until the upstream was called, without waiting for its turn. */
  readonly overheadUs: number;
  /** How long it waited for its turn under overload. */
  readonly queuedMs?: number;
  readonly firstTokenMs?: number;
  readonly totalMs: number;
}

/** What `GET /v1/routing/decisions/{call_id}` answers and `routeiq why` prints. */
export interface Receipt {
  readonly callId: string;
  readonly requestId: string;
  readonly atMs: number;
  /** Who called: "master", a key's id, or "anonymous". */
  readonly caller: string;
  readonly requestedModel: string;
  readonly operation: string;
  readonly stream: boolean;
  readonly decision?: Decision;
  readonly attempts: readonly AttemptRecord[];
  /** What the strategy asked before; its attempts are not among the call's. */
  readonly strategyCalls?: readonly StrategyCall[];
  readonly deployment?: string;
  readonly outcome: CallOutcome;
  readonly error?: string;
  readonly finishReason?: string;
  /**
   * Whether the answer had the form that the request asked for: JSON by its schema, calls of its
   * tools. Missing where it asked for none, or nobody looked.
   */
  readonly form?: { readonly of: "json" | "tool_call"; readonly valid: boolean };
  readonly usage?: Usage;
  readonly costMicroUsd?: number;
  readonly timings: Timings;
  readonly feedback: readonly Feedback[];
}

export type CallOutcome = "success" | "failure" | "cancelled" | "truncated";

export interface Feedback {
  readonly callId: string;
  /** In [0, 1]. */
  readonly score: number;
  /** `user`, `judge`, `implicit`, or the caller's own word. */
  readonly source: string;
  readonly comment?: string;
  readonly atMs: number;
}
