/** Deployments for tests of routing: what is not said is plain. */
import type { Deployment } from "../../src/domain/model.ts";

export function deployment(id: string, more: Partial<Deployment> = {}): Deployment {
  return {
    id,
    group: "group",
    candidate: `openai/${id}`,
    provider: "openai",
    upstreamModel: id,
    apiBase: `http://${id}.test/v1`,
    operation: "chat",
    facts: {},
    headers: {},
    body: {},
    ...more,
  };
}

export function priced(inputUsd: number, outputUsd: number): Partial<Deployment> {
  return { facts: { price: { inputUsdPerToken: inputUsd, outputUsdPerToken: outputUsd } } };
}
