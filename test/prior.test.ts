/** Day 0: a gateway with several models and no trained router decides by the catalog, and says so. */
import { describe, expect, test } from "bun:test";
import type { Decision } from "../src/domain/decision.ts";
import { handle } from "../src/pipeline/handle.ts";
import { arrivalOf, configOf, createTestServices } from "./support/services.ts";
import { createUpstreams } from "./support/upstreams.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const models = `
model_list:
  - {model_name: nano, litellm_params: {model: openai/gpt-5-nano, input_cost_per_token: 5.0e-8, output_cost_per_token: 4.0e-7, api_base: "http://n.test/v1", api_key: k}}
  - {model_name: mini, litellm_params: {model: openai/gpt-5-mini, input_cost_per_token: 2.5e-7, output_cost_per_token: 2.0e-6, api_base: "http://m.test/v1", api_key: k}}
  - {model_name: big, litellm_params: {model: openai/gpt-5, input_cost_per_token: 1.25e-6, output_cost_per_token: 1.0e-5, api_base: "http://b.test/v1", api_key: k}}
  - {model_name: mixed, litellm_params: {model: openai/gpt-5-nano, input_cost_per_token: 5.0e-8, output_cost_per_token: 4.0e-7, api_base: "http://n.test/v1", api_key: k}}
  - {model_name: mixed, litellm_params: {model: openai/gpt-5, input_cost_per_token: 1.25e-6, output_cost_per_token: 1.0e-5, api_base: "http://b.test/v1", api_key: k}}
`;
const easy = "Say hello.";
const hard = "Prove, with every step, that 2 ^ 10 + 3 * 17 = 1075 and explain why. ".repeat(30);

async function decisionOf(
  settings: string,
  { model = "auto", content = easy, headers = {} as Record<string, string> } = {},
): Promise<Decision> {
  const clock = createVirtualClock();
  const { outbound } = createUpstreams(clock, () => ({ kind: "answer" }));
  const services = createTestServices(await configOf(models + settings), { clock, outbound });
  const body = { model, messages: [{ role: "user", content }] };
  const arrival = arrivalOf(body, clock, { headers: new Headers(headers) });
  const done = handle(arrival, services);
  for (let i = 0; i < 20; i++) await clock.advance(250);
  await done;
  const decision = services.rows.at(-1)?.receipt.decision;
  if (!decision) throw new Error("no receipt");
  return decision;
}

const strategy = (name: string, args = "{}") =>
  `router_settings: {routing_strategy: ${name}, routing_strategy_args: ${args}}\n`;

describe("who decides without a trained router", () => {
  const cases: readonly [string, string, string, string][] = [
    // settings, model asked for, reason, strategy of the receipt
    ["", "auto", "prior", "catalog-prior"],
    ["", "mixed", "static", "simple-shuffle"], // a group is LiteLLM's: its deployments are shuffled
    ["", "big", "single_candidate", "simple-shuffle"],
    [strategy("auto"), "auto", "prior", "catalog-prior"],
    [strategy("auto"), "mixed", "prior", "catalog-prior"],
    [strategy("llmrouter-knn"), "mixed", "prior", "catalog-prior"],
    [
      strategy("llmrouter-knn", "{fallback_strategy: least-busy}"),
      "mixed",
      "fallback",
      "least-busy",
    ],
    [strategy("least-busy"), "auto", "static", "least-busy"],
  ];
  test.each(cases)("%s asked for %s: %s by %s", async (settings, model, reason, name) => {
    const decision = await decisionOf(settings, { model });
    expect(decision).toMatchObject({ reason, strategy: name, artifact: "none" });
  });
});

test("the receipt shows each model's prior, and the query decides", async () => {
  const settings = strategy("auto", "{tradeoff: 0.6}");
  const [plain, long] = [await decisionOf(settings), await decisionOf(settings, { content: hard })];
  expect(plain.candidates).toHaveLength(3);
  for (const { quality, costUsd, utility, uncertainty } of plain.candidates) {
    for (const value of [quality, costUsd, utility, uncertainty]) {
      expect(value).toBeNumber();
      expect(value).not.toBeNaN();
    }
  }
  expect(plain.novelty).toBeUndefined();
  const place = ({ chosen }: Decision) =>
    ["openai/gpt-5-nano", "openai/gpt-5-mini", "openai/gpt-5"].indexOf(chosen);
  expect(place(long)).toBeGreaterThan(place(plain));
});

test("a call's own dial and floor hold", async () => {
  const of = (headers: Record<string, string>) => decisionOf(strategy("auto"), { headers });
  expect((await of({ "x-routeiq-tradeoff": "0" })).chosen).toBe("openai/gpt-5-nano");
  expect((await of({ "x-routeiq-tradeoff": "1" })).chosen).toBe("openai/gpt-5");
  expect((await of({ "x-routeiq-floor": "1@openai/gpt-5" })).chosen).toBe("openai/gpt-5");
});
