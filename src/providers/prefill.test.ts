/** Which deployments go on from a beginning. */
import { expect, test } from "bun:test";
import type { Deployment } from "../domain/model.ts";
import { prefillOf } from "./prefill.ts";

const cases: readonly [
  provider: string,
  model: string,
  goesOn: boolean,
  more?: Partial<Deployment>,
][] = [
  ["anthropic", "claude-sonnet-4-5", true],
  ["anthropic", "claude-3-5-haiku-20241022", true],
  ["anthropic", "claude-opus-4-1-20250805", true],
  ["anthropic", "claude-opus-4-6", false],
  ["anthropic", "claude-sonnet-4-6-20260219", false],
  ["anthropic", "claude-opus-4-7", false],
  ["anthropic", "claude-sonnet-5", false],
  ["anthropic", "claude-sonnet-4-20250514", true],
  ["bedrock", "anthropic.claude-3-haiku-20240307-v1:0", true],
  ["bedrock", "us.anthropic.claude-opus-4-6-v1", false],
  ["bedrock", "amazon.nova-pro-v1:0", false],
  ["openrouter", "anthropic/claude-sonnet-4.5", true],
  ["openrouter", "anthropic/claude-opus-4.6", false],
  ["openrouter", "openai/gpt-4o", false],
  ["mistral", "mistral-large-latest", true],
  ["deepseek", "deepseek-chat", false, { apiBase: "https://api.deepseek.com" }],
  ["deepseek", "deepseek-chat", true, { apiBase: "https://api.deepseek.com/beta" }],
  ["openai", "gpt-4o", false],
  ["openai", "own", true, { info: { supports_assistant_prefill: true } }],
  ["anthropic", "claude-sonnet-4-5", false, { info: { supports_assistant_prefill: false } }],
];
test.each(cases)("%s %s: %p", (provider, upstreamModel, goesOn, more = {}) => {
  const deployment = { provider, upstreamModel, apiBase: "https://x.test", ...more } as Deployment;
  expect(prefillOf(deployment) !== undefined).toBe(goesOn);
});
