/** Experiments as they are written, by us and by the predecessor, and what of them is refused. */
import { describe, expect, test } from "bun:test";
import { knownNames } from "../routing/known-names.ts";
import { checkConfig } from "./check/check.ts";
import { loadConfig } from "./load.ts";

async function load(
  experiments: string,
  env: Record<string, string> = {},
  strategy = "llmrouter-knn",
) {
  const yaml = [
    "model_list: [{model_name: m, litellm_params: {model: openai/a, api_key: x}}]",
    `router_settings: {routing_strategy: ${strategy}, routing_strategy_args: {model_path: ./models}}`,
    `routeiq_settings: {experiments: ${experiments}}`,
  ].join("\n");
  const loaded = await loadConfig({ cwd: "/", env, readText: async () => yaml });
  return checkConfig(loaded, { known: knownNames });
}

const experimentsOf = async (...args: Parameters<typeof load>) => {
  const { config, findings } = await load(...args);
  expect(findings.filter(({ level }) => level === "error")).toEqual([]);
  return config?.routeiq.experiments ?? [];
};

describe("are read", () => {
  test("with the walk in the order of the weights, by variant or by strategy", async () => {
    const text =
      "{e: {variants: {a: simple-shuffle, b: least-busy, c: {tradeoff: 0.2}}, weights: {c: 10, least-busy: 30, a: 60}}}";
    const [one] = await experimentsOf(text);
    expect(one).toMatchObject({ id: "e", enabled: true, control: "a", stopOn: ["errors"] });
    expect(one?.variants).toEqual([
      { name: "c", weight: 10, tradeoff: 0.2 },
      { name: "b", weight: 30, strategy: "least-busy" },
      { name: "a", weight: 60, strategy: "simple-shuffle" },
    ]);
  });

  test("with equal shares where no weights are written, and none for variants left out of them", async () => {
    const [even] = await experimentsOf("{e: {variants: {a: {}, b: {}}}}");
    expect(even?.variants.map(({ weight }) => weight)).toEqual([1, 1]);
    const [uneven] = await experimentsOf("{e: {variants: {a: {}, b: {}}, weights: {b: 5}}}");
    expect(uneven?.variants).toEqual([
      { name: "b", weight: 5 },
      { name: "a", weight: 0 },
    ]);
  });

  test("from the predecessor's variables; the file's word comes before", async () => {
    const older = {
      LLMROUTER_EXPERIMENT_CONFIG: JSON.stringify({
        experiment_id: "old",
        variants: { control: "simple-shuffle", treatment: "llmrouter-knn" },
        weights: { "simple-shuffle": 90, "llmrouter-knn": 10 },
        enabled: true,
        description: "d",
      }),
    };
    expect(await experimentsOf("{}", older)).toMatchObject([
      {
        id: "old",
        description: "d",
        variants: [{ weight: 90 }, { name: "treatment", weight: 10 }],
      },
    ]);
    const weights = { LLMROUTER_STRATEGY_WEIGHTS: '{"simple-shuffle": 70, "llmrouter-knn": 30}' };
    expect(await experimentsOf("{}", { ...weights, LLMROUTER_EXPERIMENT_ID: "w" })).toMatchObject([
      { id: "w", variants: [{ name: "simple-shuffle", weight: 70 }, { weight: 30 }] },
    ]);
    expect(await experimentsOf("{}", { LLMROUTER_EXPERIMENT_CONFIG: "{" })).toEqual([]);
  });
});

describe("are refused, with what to do", () => {
  const cases = [
    ["{e: {variants: {a: {}}}}", "has 1 variants"],
    ["{e: {variants: {a: {}, b: {}}, weights: {c: 1, a: 1}}}", '"c" is no variant'],
    ["{e: {variants: {a: {}, b: {}}, weights: {a: 0, b: 0}}}", "come to 0"],
    ["{e: {variants: {a: {}, b: {}}, control: c}}", '"c" is no variant'],
    ["{e: {variants: {a: {}, b: {}}, start_time: soon}}", "start_time is no time"],
    ["{e: {variants: {a: {}, b: least-bussy}}}", 'no strategy "least-bussy"'],
    ["{e: {variants: {a: {}, b: llmrouter-mlp}}}", "needs a trained router of its own"],
    ["{e: {variants: {a: {}, b: {strategy: least-busy, model_path: ./m}}}}", "no use for"],
    ["{e: {variants: {a: {}, b: {tradeof: 0.2}}}}", "b must be a strategy's name, or a map"],
    ["{e: {variants: {a: {}, b: {tradeoff: 2}}}}", "b must be a strategy's name, or a map"],
  ] as const;
  test.each(cases)("%s", async (text, words) => {
    const { config, findings } = await load(text);
    expect(config).toBeUndefined();
    const errors = findings.filter(({ level }) => level === "error");
    expect(errors.map(({ message }) => message).join("\n")).toContain(words);
    expect(errors[0]?.remedy).not.toBe("");
  });
});
