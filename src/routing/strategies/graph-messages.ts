/** The messages of `graph.ts` over a sampled graph, and the constants they come to for new queries. */
import type { Random } from "../../std/random.ts";
import { createTape, type Edges, type Matrix, type Tape, toMatrix } from "../../std/tape.ts";
import { inputOf, logitsOf, normalWeights, zeroWeights } from "./head.ts";
import type { Examples } from "./strategy.ts";

/** A sample: queries whose edges are seen (`context`), and queries whose edges are predicted. */
export interface Graph {
  readonly examples: Examples;
  /** m: mean quality, which an edge's weight is counted from. */
  readonly mean: Float64Array;
  /** n: the task of each row. */
  readonly taskOf: Int32Array;
  readonly tasks: number;
  readonly context: Int32Array;
  readonly targets: Int32Array;
}

export type Parameters = ReturnType<typeof createParameters>;

export function createParameters(
  { d, k, m }: { readonly d: number; readonly k: number; readonly m: number },
  mean: Float64Array,
  random: Random,
) {
  const square = () => normalWeights(k, k, random);
  return {
    query: normalWeights(k, d, random, 2),
    queryBias: toMatrix(new Float32Array(k).fill(0.1), 1, k),
    model: normalWeights(m, k, random),
    modelOwn1: square(),
    modelQuery1: square(),
    modelBias1: zeroWeights(1, k),
    taskOwn1: square(),
    taskModel1: square(),
    taskBias1: zeroWeights(1, k),
    queryOwn1: square(),
    queryTask1: square(),
    queryModel1: square(),
    queryBias1: zeroWeights(1, k),
    modelOwn2: square(),
    modelQuery2: square(),
    queryOwn2: square(),
    queryTask2: square(),
    level: logitsOf(mean),
  };
}

export interface Messages {
  /** tasks×k after no and one round; m×k after two. */
  readonly task0: Matrix;
  readonly task1: Matrix;
  readonly model2: Matrix;
  /** targets×m, as logits. */
  readonly scores: Matrix;
}

export function runGraph(tape: Tape, p: Parameters, sample: Graph): Messages {
  const { examples, taskOf, context, targets } = sample;
  const enter = (rows: Int32Array) =>
    tape.relu(tape.addRow(tape.times(inputOf(examples, rows), p.query), p.queryBias));
  const seen = enter(context);
  const edges = toEdges(sample);
  const task0 = tape.aggregate(seen, edges.queriesToTasks);
  const model1 = tape.relu(
    tape.addRow(
      tape.add(
        tape.times(p.model, p.modelOwn1),
        tape.times(tape.aggregate(seen, edges.queriesToModels), p.modelQuery1),
      ),
      p.modelBias1,
    ),
  );
  const fromModels = tape.aggregate(p.model, edges.modelsToQueries);
  const task1 = tape.relu(
    tape.addRow(
      tape.add(
        tape.times(task0, p.taskOwn1),
        tape.times(tape.aggregate(fromModels, edges.queriesToTasks), p.taskModel1),
      ),
      p.taskBias1,
    ),
  );
  const step = (query: Matrix, rows: Int32Array, models?: Matrix) => {
    const own = tape.times(query, p.queryOwn1);
    const task = tape.times(tape.gather(task0, tasksOf(taskOf, rows)), p.queryTask1);
    const sum = models
      ? tape.add(tape.add(own, task), tape.times(models, p.queryModel1))
      : tape.add(own, task);
    return tape.relu(tape.addRow(sum, p.queryBias1));
  };
  const seen1 = step(seen, context, fromModels);
  const model2 = tape.add(
    tape.times(model1, p.modelOwn2),
    tape.times(tape.aggregate(seen1, edges.queriesToModels), p.modelQuery2),
  );
  const target1 = step(enter(targets), targets);
  const target2 = tape.add(
    tape.times(target1, p.queryOwn2),
    tape.times(tape.gather(task1, tasksOf(taskOf, targets)), p.queryTask2),
  );
  const product = tape.scale(tape.times(target2, model2), 1 / Math.sqrt(p.query.rows));
  return { task0, task1, model2, scores: tape.addRow(product, p.level) };
}

function tasksOf(taskOf: Int32Array, rows: Int32Array): Int32Array {
  return rows.map((row) => taskOf[row] as number);
}

/** Means, as sums whose weights are divided by the number of edges into the node. */
function toEdges({ examples, mean, taskOf, tasks, context }: Graph) {
  const { models, quality } = examples;
  const m = models.length;
  const query: number[] = [];
  const model: number[] = [];
  const gap: number[] = [];
  const perModel = new Float64Array(m);
  const perQuery = new Float64Array(context.length);
  context.forEach((row, i) => {
    for (let j = 0; j < m; j++) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      query.push(i);
      model.push(j);
      gap.push(q - (mean[j] as number));
      perModel[j] = (perModel[j] as number) + 1;
      perQuery[i] = (perQuery[i] as number) + 1;
    }
  });
  const queries = Int32Array.from(query);
  const ends = Int32Array.from(model);
  const toModels = Float32Array.from(gap, (w, e) => w / (perModel[model[e] as number] as number));
  const toQueries = Float32Array.from(gap, (w, e) => w / (perQuery[query[e] as number] as number));
  const task = tasksOf(taskOf, context);
  const perTask = new Float64Array(tasks);
  for (const t of task) perTask[t] = (perTask[t] as number) + 1;
  const queriesToTasks: Edges = {
    from: context.map((_, i) => i),
    to: task,
    weight: Float32Array.from(task, (t) => 1 / (perTask[t] as number)),
    rows: tasks,
  };
  return {
    queriesToTasks,
    queriesToModels: { from: queries, to: ends, weight: toModels, rows: m } satisfies Edges,
    modelsToQueries: {
      from: ends,
      to: queries,
      weight: toQueries,
      rows: context.length,
    } satisfies Edges,
  };
}

/** The proof of `graph.ts` in matrices: what a query without edges to models needs. */
export function collapse(p: Parameters, { task0, task1, model2 }: Messages) {
  const tape = createTape();
  const scale = 1 / Math.sqrt(p.query.rows);
  const k = p.query.rows;
  const m = model2.rows;
  const firstBias = tape.addRow(tape.times(task0, p.queryTask1), p.queryBias1).values;
  const fromTask = tape.times(task1, p.queryTask2);
  const lastBias = tape.addRow(tape.scale(tape.times(fromTask, model2), scale), p.level).values;
  const last = new Float32Array(m * k);
  for (let j = 0; j < m; j++) {
    for (let l = 0; l < k; l++) {
      const factor = scale * (model2.values[j * k + l] as number);
      for (let i = 0; i < k; i++) {
        last[j * k + i] =
          (last[j * k + i] as number) + factor * (p.queryOwn2.values[l * k + i] as number);
      }
    }
  }
  return { first: p.queryOwn1.values, firstBias, last, lastBias };
}
