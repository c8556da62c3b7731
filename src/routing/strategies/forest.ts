/**
 * Extremely randomised trees over all models at once: each tree parts the training queries by random
 * thresholds, those that divide the models' qualities best, and a query is worth what the queries of its leaves
 * were. Trees read the shape features (length, digits, tools …) as they are, and how they work together.
 * Sources: Geurts, Ernst & Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006; option
 * names are scikit-learn's.
 * Cost of a decision: `n_estimators` walks from root to leaf, a dozen steps each, and a sum of m int8
 * per tree.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { eigenSymmetric, gram } from "../../std/matrix.ts";
import { f32, i8, i32, takeF32, takeI8, takeI32 } from "../safetensors.ts";
import { clampShare, meanQuality } from "./examples.ts";
import { growTree, leafMark, type Tree } from "./grow-tree.ts";
import { defineStrategy, type Examples, type Fitted, type Scorer } from "./strategy.ts";

const mostTrees = 1000;
/** As good as a hundred within a tenth of what they gain. */
const draftTrees = 40;

export const forest = defineStrategy({
  name: "llmrouter-forest",
  summary: "Extremely randomised trees: the mean quality of the queries in the same leaves.",
  options: Type.Object({
    n_estimators: Type.Integer({
      default: 100,
      minimum: 1,
      maximum: mostTrees,
      description: "Trees.",
    }),
    min_samples_leaf: Type.Integer({
      default: 10,
      minimum: 1,
      maximum: 100_000,
      description: "Training queries that a leaf has at least; more where there are many.",
    }),
    max_features: Type.Number({
      default: 0.3,
      exclusiveMinimum: 0,
      maximum: 1,
      description: "Share of the features that are tried at each fork.",
    }),
  }),
  fit(examples, options, context) {
    const mean = meanQuality(examples);
    const problem = toProblem(examples, mean);
    const leafRows = Math.max(options.min_samples_leaf, Math.ceil(examples.n / mostLeaves));
    const trees: Tree[] = [];
    const wanted = Math.min(options.n_estimators, context.draft ? draftTrees : mostTrees);
    for (let tree = 0; tree < wanted; tree++) {
      trees.push(
        growTree(problem, { leafRows, share: options.max_features, random: context.random }),
      );
      context.progress((tree + 1) / wanted);
    }
    return join(trees, mean, examples);
  },
  load: (fitted, { d, m }) => loadForest(fitted, d, m),
});

/** Leaves of a tree at most: what a small artifact can hold, and rows say no more. */
const mostLeaves = 512;
/** Weight of a model's global mean in each leaf, in rows. */
const priorRows = 1;
/** A leaf's gain over the mean as int8: 1 is 127. */
const unit = 127;

/** Directions in which models' gains differ most: what forks are judged by, to save time and noise. */
const directions = 6;

/** Columns of x, and gains over the mean weighted by row; a model that was not observed has none. */
function toProblem({ x, n, d, models, quality, weight }: Examples, mean: Float64Array) {
  const m = models.length;
  const columns = new Float32Array(n * d);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < d; i++) columns[i * n + row] = x[row * d + i] as number;
  }
  const gains = new Float32Array(n * m);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < m; j++) {
      const q = quality[row * m + j] as number;
      const w = weight[row] as number;
      gains[row * m + j] = Number.isNaN(q) ? 0 : w * (q - (mean[j] as number));
    }
  }
  return { columns, ...compress(gains, n, m), weight, n, d };
}

function compress(gains: Float32Array, n: number, m: number) {
  if (m <= directions || m > mostCompressed) return { gains, m };
  const { vectors } = eigenSymmetric(gram(gains, n, m), m);
  const out = new Float32Array(n * directions);
  for (let row = 0; row < n; row++) {
    for (let k = 0; k < directions; k++) {
      let sum = 0;
      for (let j = 0; j < m; j++) {
        sum += (gains[row * m + j] as number) * (vectors[j * m + k] as number);
      }
      out[row * directions + k] = sum;
    }
  }
  return { gains: out, m: directions };
}

/** The eigenvectors of more models would take longer than they save. */
const mostCompressed = 128;

function join(trees: readonly Tree[], mean: Float64Array, examples: Examples): Fitted {
  const nodes = trees.reduce((sum, { links }) => sum + links.length, 0);
  const leaves = trees.reduce((sum, tree) => sum + tree.leaves.length, 0);
  const m = mean.length;
  const links = new Int32Array(nodes);
  const thresholds = new Float32Array(nodes);
  const roots = new Int32Array(trees.length);
  const values = new Int8Array(leaves * m);
  const rows = new Float32Array(leaves);
  let node = 0;
  let leaf = 0;
  trees.forEach((tree, at) => {
    roots[at] = node;
    // A leaf's mark is its number within the tree; here it becomes its number among all.
    for (const link of tree.links) links[node++] = link < 0 ? link - leaf : link;
    thresholds.set(tree.thresholds, roots[at]);
    for (const members of tree.leaves) {
      rows[leaf] = writeLeaf(values, leaf * m, members, mean, examples);
      leaf++;
    }
  });
  return {
    tensors: {
      "forest.links": i32(links, nodes),
      "forest.thresholds": f32(thresholds, nodes),
      "forest.roots": i32(roots, roots.length),
      "forest.gains": i8(values, leaves, m),
      "forest.leaf_rows": f32(rows, leaves),
      "forest.mean": f32(Float32Array.from(mean), m),
    },
    json: { trees: trees.length },
  };
}

/** The models' mean gains over their global means among a leaf's rows; returns the rows' weight. */
function writeLeaf(
  values: Int8Array,
  at: number,
  members: Int32Array,
  mean: Float64Array,
  { quality, weight }: Examples,
): number {
  const m = mean.length;
  let total = 0;
  for (const row of members) total += weight[row] as number;
  for (let j = 0; j < m; j++) {
    let sum = 0;
    let seen = priorRows;
    for (const row of members) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      sum += (weight[row] as number) * (q - (mean[j] as number));
      seen += weight[row] as number;
    }
    values[at + j] = Math.round(Math.max(-1, Math.min(1, sum / seen)) * unit);
  }
  return total;
}

function loadForest({ tensors }: Fitted, d: number, m: number): Scorer {
  const links = takeI32(tensors, "forest.links", [-1]);
  const thresholds = takeF32(tensors, "forest.thresholds", [links.length]);
  const roots = takeI32(tensors, "forest.roots", [-1]);
  const gains = takeI8(tensors, "forest.gains", [-1, m]);
  const rows = takeF32(tensors, "forest.leaf_rows", [gains.length / m]);
  const mean = takeF32(tensors, "forest.mean", [m]);
  checkForest(links, roots, d, rows.length);
  const sums = new Int32Array(m);
  const quality = new Float32Array(m);
  const uncertainty = new Float32Array(m);
  const scores = { quality, uncertainty };
  const step = 1 / (unit * roots.length);
  return {
    sync: true,
    score(x) {
      sums.fill(0);
      let seen = 0;
      for (let tree = 0; tree < roots.length; tree++) {
        let node = roots[tree] as number;
        let link = links[node] as number;
        while (link >= 0) {
          const below = (x[link >>> linkBits] as number) < (thresholds[node] as number);
          node += below ? 1 : link & linkMask;
          link = links[node] as number;
        }
        const leaf = leafMark - link;
        seen += rows[leaf] as number;
        const from = leaf * m;
        for (let j = 0; j < m; j++) sums[j] = (sums[j] as number) + (gains[from + j] as number);
      }
      // The leaves of a query differ from tree to tree: together they rest on many more rows than one.
      const used = Math.max(1, (overlap * seen) / roots.length);
      for (let j = 0; j < m; j++) {
        const q = clampShare((mean[j] as number) + (sums[j] as number) * step);
        quality[j] = q;
        uncertainty[j] = Math.sqrt((q * (1 - q) + 0.01) / used);
      }
      return scores;
    },
    close: () => undefined,
  };
}

/** Rows behind a prediction, in leaves: 1/Σ(a row's share)², 10 to 19 on the public sets. */
const overlap = 10;

/** A fork's link: its feature above, and how far ahead the branch of larger values begins. */
const linkBits = 20;
const linkMask = 2 ** linkBits - 1;

/** Every walk must go forward, and end in a leaf that is there. */
function checkForest(links: Int32Array, roots: Int32Array, d: number, leaves: number): void {
  const refuse = (why: string): never => {
    throw new GatewayError("artifact_refused", `forest: ${why}`);
  };
  if (roots.length === 0) refuse("there is no tree");
  for (const root of roots) if (!(root >= 0 && root < links.length)) refuse("a root is nowhere");
  for (let node = 0; node < links.length; node++) {
    const link = links[node] as number;
    if (link < 0) {
      if (leafMark - link >= leaves) refuse("a leaf is not there");
      continue;
    }
    const ahead = link & linkMask;
    if (link >>> linkBits >= d) refuse("a fork asks for a feature that is not there");
    if (ahead < 1 || node + ahead >= links.length || node + 1 >= links.length) {
      refuse("a branch leads out of the tree");
    }
  }
}
