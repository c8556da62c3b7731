/** The two providers that the gateway starts with; the registry takes its place. */
import { dialects } from "../dialects/registry.ts";
import type { ProviderLookup } from "./deployments.ts";
import type { Provider } from "./provider.ts";

const list: Provider[] = [
  {
    name: "openai",
    dialect: dialects["openai-chat"],
    baseUrl: "https://api.openai.com/v1",
    auth: { kind: "bearer", env: ["OPENAI_API_KEY"] },
    paths: { chat: "/chat/completions", embedding: "/embeddings" },
    source: "https://platform.openai.com/docs/api-reference",
  },
  {
    name: "anthropic",
    dialect: dialects["anthropic"],
    baseUrl: "https://api.anthropic.com",
    auth: { kind: "header", header: "x-api-key", env: ["ANTHROPIC_API_KEY"] },
    headers: { "anthropic-version": "2023-06-01" },
    paths: { chat: "/v1/messages" },
    source: "https://platform.openai.com/docs/api-reference",
  },
];
export const providerLookup: ProviderLookup = {
  findProvider: (name) => list.find((p) => p.name === name),
  resolveModel(model) {
    const [prefix, ...rest] = model.split("/");
    const provider = list.find((p) => p.name === prefix);
    return provider && { provider, model: rest.join("/") };
  },
  factsOf: () => ({}),
};
