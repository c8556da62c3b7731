/**
 * Personalised routing: what is true of everybody, plus what is true of one user. The pool-wide part
 * is a Bayesian linear estimate; a user has a level (how strict they judge) and an effect per model,
 * both drawn to zero by how much users differ in the data (variance components, best linear unbiased
 * prediction), so that few ratings say little and an unknown user gets the pool's answer. The level
 * is estimated to keep a strict user from telling against the models they happened to use; it is
 * the same for all models, so no choice depends on it and it is not kept.
 * Sources: Xie et al., "GMTRouter: Personalized LLM router over multi-turn user interactions",
 * arXiv 2511.08590, whose graph carries users' ratings to model nodes over the same edges; Robinson,
 * "That BLUP is a good thing", Statistical Science 6, 1991.
 * Cost of a decision: that of the pool-wide estimate, a look-up and m additions.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { f32, i32, takeF32, takeI32 } from "../safetensors.ts";
import { clampShare } from "./examples.ts";
import { fitPosterior, loadPosterior } from "./posterior.ts";
import { defineStrategy, type Examples } from "./strategy.ts";

export const personal = defineStrategy({
  name: "llmrouter-gmt",
  summary: "The pool's estimate of each model, corrected by what each user thought of it.",
  options: Type.Object({
    l2_lambda: Type.Number({
      default: 0,
      minimum: 0,
      description: "Penalty of the pool-wide part; 0: chosen by cross-validation.",
    }),
    min_interactions: Type.Integer({
      default: 3,
      minimum: 1,
      description: "Rated calls before a user has effects of their own.",
    }),
    max_users: Type.Integer({
      default: 20_000,
      minimum: 1,
      maximum: 200_000,
      description: "Users that are kept, those with most ratings first.",
    }),
  }),
  fit(examples, options, { kernels, progress }) {
    const pool = fitPosterior(examples, { lambda: options.l2_lambda }, (share) =>
      progress(0.8 * share),
    );
    const m = examples.models.length;
    const estimate = loadPosterior(pool, { d: examples.d, m }, kernels);
    const { ids, effects, deviations, spread } = fitUsers(
      examples,
      options,
      (x) => estimate(x).mean,
    );
    progress(1);
    return {
      tensors: {
        ...pool.tensors,
        "gmt.user": i32(ids, ids.length / 2, 2),
        "gmt.effect": f32(effects, ids.length / 2, m),
        "gmt.deviation": f32(deviations, ids.length / 2, m),
      },
      json: { ...pool.json, spread, users: ids.length / 2 },
    };
  },
  load(fitted, { d, m }, createKernels) {
    const estimate = loadPosterior(fitted, { d, m }, createKernels);
    const { tensors, json } = fitted;
    const ids = takeI32(tensors, "gmt.user", [-1, 2]);
    const users = ids.length / 2;
    const effects = takeF32(tensors, "gmt.effect", [users, m]);
    const deviations = takeF32(tensors, "gmt.deviation", [users, m]);
    const spread = Number(json["spread"]);
    if (!(spread >= 0)) {
      throw new GatewayError("artifact_refused", "gmt: the spread is not a number of at least 0");
    }
    const places = new Map<string, number>();
    for (let u = 0; u < users; u++) places.set(toHex(ids, u), u);
    return {
      sync: true,
      personal: true,
      score(x, user) {
        const { mean, deviation } = estimate(x);
        const place = user === undefined ? undefined : places.get(user);
        for (let j = 0; j < m; j++) {
          const at = place === undefined ? -1 : place * m + j;
          const effect = at < 0 ? 0 : (effects[at] as number);
          const own = at < 0 ? spread : (deviations[at] as number);
          mean[j] = clampShare((mean[j] as number) + effect);
          deviation[j] = Math.hypot(deviation[j] as number, own);
        }
        return { quality: mean, uncertainty: deviation };
      },
      close: () => undefined,
    };
  },
});

interface UserOptions {
  readonly min_interactions: number;
  readonly max_users: number;
}

function fitUsers(
  examples: Examples,
  options: UserOptions,
  estimate: (x: Float32Array) => Float32Array,
) {
  const { n, d, x, models, quality, weight, user } = examples;
  const m = models.length;
  const rowsOf = new Map<string, number[]>();
  for (let row = 0; row < n; row++) {
    const id = user?.[row];
    if (id === undefined) continue;
    const rows = rowsOf.get(id);
    if (rows) rows.push(row);
    else rowsOf.set(id, [row]);
  }
  const kept = [...rowsOf]
    .filter(([, rows]) => rows.length >= options.min_interactions)
    .sort(([a, of], [b, other]) => other.length - of.length || (a < b ? -1 : 1))
    .slice(0, options.max_users)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const tables = kept.map(([, rows]) => toResiduals(rows));
  const { noise, spread } = toVariances(tables, m);
  const effects = new Float32Array(kept.length * m);
  const deviations = new Float32Array(kept.length * m);
  tables.forEach(({ sums, mass }, u) => {
    for (let j = 0; j < m; j++) {
      const seen = mass[j] as number;
      const share = spread > 0 ? (spread * seen) / (spread * seen + noise) : 0;
      effects[u * m + j] = seen > 0 ? (share * (sums[j] as number)) / seen : 0;
      deviations[u * m + j] = Math.sqrt(spread * (1 - share));
    }
  });
  const ids = Int32Array.from(kept.flatMap(([id]) => fromHex(id)));
  return { ids, effects, deviations, spread: Math.sqrt(spread) };

  /** Per model: what a user's outcomes were above the pool's estimate, less the user's level. */
  function toResiduals(rows: readonly number[]): Residuals {
    const sums = new Float64Array(m);
    const mass = new Float64Array(m);
    let squares = 0;
    for (const row of rows) {
      const expected = estimate(x.subarray(row * d, (row + 1) * d));
      for (let j = 0; j < m; j++) {
        const q = quality[row * m + j] as number;
        if (Number.isNaN(q)) continue;
        const w = weight[row] as number;
        const residual = q - (expected[j] as number);
        sums[j] = (sums[j] as number) + w * residual;
        mass[j] = (mass[j] as number) + w;
        squares += w * residual * residual;
      }
    }
    const total = mass.reduce((sum, w) => sum + w, 0);
    const level = sums.reduce((sum, value) => sum + value, 0) / (total + levelPrior);
    for (let j = 0; j < m; j++) sums[j] = (sums[j] as number) - level * (mass[j] as number);
    return { sums, mass, squares: squares - level * level * total };
  }
}

/** Ratings' worth of belief that a user judges as everybody does. */
const levelPrior = 5;

interface Residuals {
  readonly sums: Float64Array;
  readonly mass: Float64Array;
  readonly squares: number;
}

/** Variance within a user and model, and between users: Henderson's method of moments. */
function toVariances(tables: readonly Residuals[], m: number) {
  let within = 0;
  let freedom = 0;
  let between = 0;
  let mass = 0;
  let cells = 0;
  for (const { sums, mass: seen, squares } of tables) {
    within += squares;
    for (let j = 0; j < m; j++) {
      const w = seen[j] as number;
      if (w <= 0) continue;
      within -= (sums[j] as number) ** 2 / w;
      freedom += Math.max(0, w - 1);
      between += (sums[j] as number) ** 2 / w;
      mass += w;
      cells++;
    }
  }
  const noise = freedom > 0 ? Math.max(1e-3, within / freedom) : 0.25;
  const spread = mass > 0 ? Math.max(0, (between - cells * noise) / mass) : 0;
  return { noise, spread };
}

const hashDigits = /^[0-9a-f]{16}$/;

function fromHex(id: string): [number, number] {
  if (!hashDigits.test(id)) throw new RangeError(`a user's id is no hash: ${id.slice(0, 40)}`);
  return [Number.parseInt(id.slice(0, 8), 16) | 0, Number.parseInt(id.slice(8), 16) | 0];
}

function toHex(ids: Int32Array, at: number): string {
  const digits = (value: number) => (value >>> 0).toString(16).padStart(8, "0");
  return digits(ids[2 * at] as number) + digits(ids[2 * at + 1] as number);
}
