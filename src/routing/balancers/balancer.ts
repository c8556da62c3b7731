/** The contract of a balancer: which deployment of the chosen model, among those that are healthy. */
import type { Deployment } from "../../domain/model.ts";
import type { Random } from "../../std/random.ts";

/** Live figures per deployment id, kept by `pool.ts`. */
export interface DeploymentStats {
  inFlight(id: string): number;
  /** Mean seconds per output token (or per call where it has none); 0 where never used. */
  latency(id: string): number;
  /** The same for the first token of streams. */
  firstTokenLatency(id: string): number;
  /** Tokens and requests in the current minute. */
  tokensThisMinute(id: string): number;
  requestsThisMinute(id: string): number;
}

export interface PickContext {
  readonly stats: DeploymentStats;
  readonly random: Random;
  readonly stream: boolean;
  readonly inputTokens: number;
  /** `routing_strategy_args.lowest_latency_buffer`: a fraction of the lowest latency. */
  readonly latencyBuffer: number;
}

export interface Balancer {
  readonly name: string;
  /** LiteLLM's and the predecessor's other names for it. */
  readonly aliases?: readonly string[];
  /** True where `rpm` and `tpm` are limits that take a deployment out for the rest of the minute. */
  readonly limits?: boolean;
  /** One of the deployments; `deployments` is never empty. */
  pick(deployments: readonly Deployment[], context: PickContext): Deployment;
  /**
   * Probability of each deployment under `pick`, in their order; missing: the pick is
   * deterministic. Logged with the decision, because learning from logs needs it.
   */
  probabilities?(deployments: readonly Deployment[]): readonly number[];
}

export function defineBalancer(balancer: Balancer): Balancer {
  return balancer;
}
