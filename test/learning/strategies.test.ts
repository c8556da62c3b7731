/** What every strategy must do, whatever it is. A new one is tested by being registered. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { GatewayError } from "../../src/domain/errors.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { createScalarKernels } from "../../src/kernels/scalar.ts";
import { decodeSafetensors, encodeSafetensors } from "../../src/routing/safetensors.ts";
import { strategies } from "../../src/routing/strategies/registry.ts";
import type { Examples, Fitted, Scorer, Strategy } from "../../src/routing/strategies/strategy.ts";
import { createRandom } from "../../src/std/random.ts";
import { makeExamples, single } from "../support/examples.ts";

setDefaultTimeout(60_000);

const train = makeExamples(400, 1);
const held = makeExamples(300, 2);
const shape = { d: train.d, m: train.models.length };

const fit = async (strategy: Strategy, examples: Examples, seed = 3): Promise<Fitted> =>
  strategy.fit(examples, Value.Default(strategy.options, {}) as Record<string, unknown>, {
    random: createRandom(seed),
    kernels: createKernels,
    progress: () => undefined,
  });

/** As an artifact's files would bring it. */
async function travel({ tensors, json, files }: Fitted): Promise<Fitted> {
  return {
    tensors: await decodeSafetensors(encodeSafetensors(tensors), "weights"),
    json: JSON.parse(JSON.stringify(json)),
    ...(files ? { files } : {}),
  };
}

async function scoreAll(scorer: Scorer, { x, n, d, models, user }: Examples) {
  const m = models.length;
  const quality = new Float32Array(n * m);
  const uncertainty = new Float32Array(n * m);
  for (let row = 0; row < n; row++) {
    const scores = await scorer.score(x.subarray(row * d, (row + 1) * d), user?.[row]);
    quality.set(scores.quality, row * m);
    uncertainty.set(scores.uncertainty, row * m);
  }
  return { quality, uncertainty };
}

/** Mean quality of always taking the best predicted model. */
function worth(predicted: Float32Array, { n, models, quality }: Examples): number {
  const m = models.length;
  let sum = 0;
  for (let row = 0; row < n; row++) {
    let best = 0;
    for (let j = 1; j < m; j++) {
      if ((predicted[row * m + j] as number) > (predicted[row * m + best] as number)) best = j;
    }
    sum += (quality[row * m + best] as number) / n;
  }
  return sum;
}

describe.each(strategies.map((strategy) => [strategy.name, strategy] as const))("%s", (_, one) => {
  test("says what it is", () => {
    expect(one.name).toMatch(/^llmrouter-[a-z0-9-]+$/);
    expect(one.summary).toMatch(/\.$/);
    expect(Value.Check(one.options, Value.Default(one.options, {}))).toBe(true);
  });

  test("scores served equal scores trained, on any kernels", async () => {
    const fitted = await fit(one, train);
    const here = await scoreAll(await one.load(fitted, shape, createKernels), held);
    const there = await scoreAll(
      await one.load(await travel(fitted), shape, createScalarKernels),
      held,
    );
    for (const key of ["quality", "uncertainty"] as const) {
      here[key].forEach((value, at) => {
        const other = there[key][at] as number;
        if (Number.isNaN(value)) expect(other).toBeNaN();
        else if (Math.abs(value - other) > 1e-6) expect(value).toBeCloseTo(other, 6);
      });
    }
    expect(here.quality.every((q) => q >= 0 && q <= 1)).toBe(true);
    expect(here.uncertainty.every((u) => Number.isNaN(u) || u >= 0)).toBe(true);
  });

  test("the same data and seed give the same bytes", async () => {
    const bytesOf = async () => {
      const { tensors, json, files } = await fit(one, train);
      const parts = [
        encodeSafetensors(tensors),
        JSON.stringify(json),
        ...Object.values(files ?? {}),
      ];
      return parts.map((part) => Bun.hash(part));
    };
    expect(await bytesOf()).toEqual(await bytesOf());
  });

  test("another shape is refused, and so is what lacks a tensor", async () => {
    const fitted = await fit(one, train);
    const { tensors, json } = fitted;
    const worse: Fitted[] = Object.keys(tensors).map((name) => ({
      ...fitted,
      tensors: Object.fromEntries(Object.entries(tensors).filter(([other]) => other !== name)),
    }));
    worse.push(...Object.keys(fitted.files ?? {}).map(() => ({ tensors, json, files: {} })));
    for (const broken of worse) {
      const loading = (async () => one.load(broken, shape, createKernels))();
      await expect(loading).rejects.toBeInstanceOf(GatewayError);
    }
    if (worse.length === 0) return; // nothing was learnt but a choice
    const loading = (async () => one.load(fitted, { ...shape, m: 2 }, createKernels))();
    await expect(loading).rejects.toBeInstanceOf(GatewayError);
  });

  test("one outcome per row is enough, or is refused with a remedy", async () => {
    const logged = single(train);
    const outcome = await fit(one, logged).catch((error: unknown) => error);
    if (outcome instanceof Error) {
      expect(outcome).toBeInstanceOf(GatewayError);
      expect(outcome.message).toMatch(/no row has outcomes of both/);
      return;
    }
    const scorer = await one.load(outcome as Fitted, shape, createKernels);
    const { quality } = await scoreAll(scorer, held);
    expect(quality.every((q) => q >= 0 && q <= 1)).toBe(true);
  });
});

const voting = strategies.filter(({ options }) => "label" in options.properties);

test.each(voting.map((strategy) => [strategy.name, strategy] as const))(
  "%s can learn the best one's name, as LLMRouter does",
  async (_, strategy) => {
    const options = Value.Default(strategy.options, { label: "best-name" });
    const fitted = await strategy.fit(train, options as Record<string, unknown>, {
      random: createRandom(3),
      kernels: createKernels,
      progress: () => undefined,
    });
    const scorer = await strategy.load(await travel(fitted), shape, createKernels);
    expect(scorer.constant).toBe(true); // the dial has no say
    const { quality } = await scoreAll(scorer, held);
    // The last model is the best one alone only where all before it fail.
    const named = new Array<number>(shape.m).fill(0);
    for (let row = 0; row < held.n; row++) {
      const cells = quality.subarray(row * shape.m, (row + 1) * shape.m);
      const best = cells.indexOf(Math.max(...cells));
      named[best] = (named[best] as number) + 1;
    }
    expect(named[shape.m - 1]).toBeLessThan(0.05 * held.n);
  },
);

/** They look at no query. */
const blind = new Set([
  "llmrouter-smallest",
  "llmrouter-largest",
  "llmrouter-elo",
  "llmrouter-automix",
]);
const learning = strategies.filter(({ name }) => !blind.has(name));

test.each(learning.map((strategy) => [strategy.name, strategy] as const))(
  "%s picks better than any fixed model",
  async (_, strategy) => {
    const scorer = await strategy.load(await fit(strategy, train), shape, createKernels);
    const { quality } = await scoreAll(scorer, held);
    const fixed = held.models.map((_, j) =>
      worth(
        new Float32Array(quality.length).map((_, at) => (at % shape.m === j ? 1 : 0)),
        held,
      ),
    );
    expect(worth(quality, held)).toBeGreaterThan(Math.max(...fixed) + 0.02);
  },
);
