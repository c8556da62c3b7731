/**
 * Parameters of open models, in billions: read off the name where makers write it there, else from
 * their model cards. Of closed models nothing is published, so nothing is said.
 */
const cards: readonly (readonly [RegExp, number])[] = [
  // Whole sizes of mixtures of experts whose names say something else, or nothing.
  [/llama-?4-?maverick/, 400],
  [/llama-?4-?scout/, 109],
  [/mixtral-8x7b/, 46.7],
  [/mixtral-8x22b/, 141],
  [/wizardlm-2-8x22b/, 141],
  [/deepseek-(v3|r1|chat|reasoner)(?!.*distill)/, 671],
  [/kimi-k2/, 1000],
  [/glm-4\.[56](?!.*air)/, 355],
  [/glm-4\.5-air/, 106],
  [/minimax-m1/, 456],
  [/mistral-nemo/, 12],
  [/pixtral-12b/, 12],
];

/** The first size in the name: `llama-3.3-70b`, `qwen3-235b-a22b`, `8x7b` as a product. */
export function publishedSizeB(model: string): number | undefined {
  const name = model.toLowerCase().replaceAll("_", "-");
  const card = cards.find(([pattern]) => pattern.test(name));
  if (card) return card[1];
  const experts = /(?<![\w.])(\d+)x(\d+(?:\.\d+)?)b(?![a-z0-9])/.exec(name);
  if (experts) return Number(experts[1]) * Number(experts[2]);
  const size = /(?<![\w.])e?(\d+(?:\.\d+)?)b(?![a-z0-9])/.exec(name);
  if (size) return Number(size[1]);
  const millions = /(?<![\w.])(\d+)m(?![a-z0-9])/.exec(name);
  return millions ? Number(millions[1]) / 1000 : undefined;
}
