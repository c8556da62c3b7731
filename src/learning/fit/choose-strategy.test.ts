/** Which strategy `auto` keeps: the preferred one, unless another is better by more than chance. */
import { expect, test } from "bun:test";
import { findStrategy } from "../../routing/strategies/registry.ts";
import type { Strategy } from "../../routing/strategies/strategy.ts";
import { autoStrategies, explainChoice, pickCandidate } from "./choose-strategy.ts";

const contenders = (gains: readonly number[]) =>
  gains.map((gain, at) => ({ strategy: findStrategy(autoStrategies[at] ?? "") as Strategy, gain }));

// One standard error of a difference is .05 / √n: .001 at 2,500 rows.
test.each([
  [[0.02, 0.0205, 0.01, 0.01], "llmrouter-ensemble", /within one standard error \(0\.0010\)/],
  [[0.02, 0.03, 0.01, 0.01], "llmrouter-linear", /gains most/],
  [[0.01, 0.02, 0.0205, 0.01], "llmrouter-linear", /llmrouter-knn gains 0\.0005 more/],
  [[-0.01, -0.01, -0.02, -0.02], "llmrouter-ensemble", /gains nothing over fixed models/],
] as const)("gains %j keep %s", (gains, name, why) => {
  const candidates = contenders(gains);
  const chosen = pickCandidate(candidates, 2500);
  expect(chosen.strategy.name).toBe(name);
  expect(explainChoice(candidates, chosen, 2500)).toMatch(why);
});
