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
}

export interface Balancer {
  readonly name: string;
  /** LiteLLM's and the predecessor's other names for it. */
  readonly aliases?: readonly string[];
  /** One of the deployments; `deployments` is never empty. */
  pick(deployments: readonly Deployment[], context: PickContext): Deployment;
}

export function defineBalancer(balancer: Balancer): Balancer {
  return balancer;
}
