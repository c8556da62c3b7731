/** What a training costs, by whose price. */
import { expect, test } from "bun:test";
import type { FinetuneProvider } from "../../config/finetune.ts";
import { trainingCostOf } from "./training-cost.ts";

const rows: readonly FinetuneProvider[] = [
  { custom_llm_provider: "azure", training_cost_per_token: { "gpt-4.1": 0.00001 } },
];
const openai = { provider: "openai", at_home: true };
const azure = { provider: "azure", at_home: false };
const cases: readonly (readonly [object, object, number | undefined])[] = [
  [{ model: "gpt-4.1-2025-04-14", trained_tokens: 1000 }, openai, 25_000],
  [{ model: "gpt-4.1-mini-2025-04-14", trained_tokens: 1000 }, openai, 5_000],
  [{ model: "gpt-4o-mini-2024-07-18", trained_tokens: 1000 }, openai, 3_000],
  [{ model: "ft:gpt-4o-mini-2024-07-18:acme::x", trained_tokens: 1000 }, openai, 3_000],
  [{ model: "gpt-4.1", trained_tokens: null }, openai, 0],
  [{ model: "o4-mini", trained_tokens: 1000 }, openai, undefined],
  [
    { model: "gpt-4.1", trained_tokens: 1000, method: { type: "reinforcement" } },
    openai,
    undefined,
  ],
  // Who speaks like OpenAI has prices of his own.
  [{ model: "gpt-4.1", trained_tokens: 1000 }, { provider: "openai" }, undefined],
  [{ model: "gpt-4.1", trained_tokens: 1000 }, azure, 10_000],
  [{ model: "gpt-4o", trained_tokens: 1000 }, azure, undefined],
];
test.each(cases)("%j at %j costs %p", (job, kept, cost) => {
  expect(trainingCostOf(job as never, kept as never, rows)).toBe(cost as never);
});
