/**
 * `label: best-name`: LLMRouter's way of learning, for comparison with it. The target is the name of a
 * row's best model alone, the first of equals in the order of the models, and the model that is named
 * answers, whatever the dial. With most rows ties, that label is mostly their order: on LLMRouter's
 * own data such classifiers stay under the best single model. The default learns each model's quality.
 */
import { type TObject, Type } from "@sinclair/typebox";
import type { Examples, Strategy } from "./strategy.ts";

const label = Type.Union([Type.Literal("quality"), Type.Literal("best-name")], {
  default: "quality",
  description: "What is learnt: each model's quality, or as in LLMRouter the best one's name.",
});

/** The strategy with an option more. */
export function withLabel<Options extends TObject>(strategy: Strategy<Options>): Strategy {
  return {
    ...strategy,
    options: Type.Object({ ...strategy.options.properties, label }),
    async fit(examples, { label: wanted, ...options }, context) {
      const byName = wanted === "best-name";
      const learnt = byName ? toBestNames(examples) : examples;
      const fitted = await strategy.fit(learnt, options as never, context);
      return byName ? { ...fitted, json: { ...fitted.json, label: wanted } } : fitted;
    },
    async load(fitted, ...rest) {
      const scorer = await strategy.load(fitted, ...rest);
      return fitted.json["label"] === "best-name" ? { ...scorer, constant: true } : scorer;
    },
  };
}

/** 1 for the first of a row's best models, 0 for the others; nothing where fewer than two were seen. */
function toBestNames(examples: Examples): Examples {
  const { n, models } = examples;
  const m = models.length;
  const quality = examples.quality.slice();
  for (let row = 0; row < n; row++) {
    const cells = quality.subarray(row * m, (row + 1) * m);
    const seen = cells.filter((q) => !Number.isNaN(q));
    const best = cells.indexOf(Math.max(...seen));
    for (let j = 0; j < m; j++) {
      if (!Number.isNaN(cells[j])) cells[j] = seen.length < 2 ? Number.NaN : j === best ? 1 : 0;
    }
  }
  return { ...examples, quality };
}
