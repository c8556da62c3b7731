/**
 * GraphRouter: a graph of queries, tasks (clusters of queries) and models, two rounds of messages,
 * and an edge's quality read off its two ends. Query-model edges carry how far the outcome stood
 * above the model's mean; a part of the queries has its edges masked in training, and the loss is on
 * those, as a new query has none.
 *
 *   q⁰ = relu(Wx + b)            t⁰ = mean of its queries' q⁰          e: learnt, per model
 *   m¹ = relu(A₁e + B₁·mean(w·q⁰) + a₁)
 *   t¹ = relu(C₁t⁰ + D₁·mean(w·e) + c₁)
 *   q¹ = relu(E₁q⁰ + F₁t⁰ + G₁·mean(w·e) + e₁)
 *   m² = A₂m¹ + B₂·mean(w·q¹)         q² = E₂q¹ + F₂t¹
 *   quality = sigmoid(m²·q²/√k + level)
 *
 * The collapse. A new query has an edge to its task and none to a model, so its own sum over models
 * is empty: q¹ = relu(E₁q⁰ + F₁t⁰ + e₁). Its edges only lead into it (it is in no node's mean, for
 * it has no outcome), so t⁰, t¹, m¹ and m² are what they were without it: constants of the
 * artifact. F₁t⁰ + e₁ is then a bias per task, m²·(F₂t¹)/√k + level another, and m²·E₂/√k a matrix:
 *   q¹ = relu(E₁·relu(Wx + b) + bias₁[task]),  quality = sigmoid((m²E₂/√k)·q¹ + bias₂[task]).
 * That is the graph's answer, not an approximation of it; `graph.test.ts` runs both.
 * Source: Feng et al., "GraphRouter", ICLR 2025, arXiv 2410.03834. Option names are LLMRouter's
 * `graphrouter`'s, which rebuilds the graph with all training queries for each request.
 * Cost of a decision: the nearest task, and matrices of d×k, k×k and k×models.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { createTape, descend, type Matrix } from "../../std/tape.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { findClusters } from "./clusters.ts";
import { meanQuality } from "./examples.ts";
import { collapse, createParameters, type Graph, runGraph } from "./graph-messages.ts";
import { pointwiseLoss, shuffler, sigmoids } from "./head.ts";
import { createMatvec, createNearest } from "./matvec.ts";
import { defineStrategy } from "./strategy.ts";

export const graph = defineStrategy({
  name: "llmrouter-graph",
  summary: "Messages over a graph of queries, tasks and models (GraphRouter).",
  options: Type.Object({
    hidden_dim: Type.Integer({
      default: 24,
      minimum: 2,
      maximum: 256,
      description: "Length of a node's vector.",
    }),
    n_tasks: Type.Integer({
      default: 16,
      minimum: 1,
      maximum: 1024,
      description: "Task nodes: clusters of queries.",
    }),
    learning_rate: Type.Number({ default: 0.005, exclusiveMinimum: 0, maximum: 1 }),
    weight_decay: Type.Number({ default: 0.05, minimum: 0 }),
    train_epoch: Type.Integer({ default: 12, minimum: 1, maximum: 1000 }),
    batch_size: Type.Integer({
      default: 256,
      minimum: 8,
      maximum: 8192,
      description: "Queries of a sampled graph.",
    }),
    train_mask_rate: Type.Number({
      default: 0.5,
      exclusiveMinimum: 0,
      exclusiveMaximum: 1,
      description: "Share of a sample's queries whose edges are masked and predicted.",
    }),
  }),
  fit(examples, options, { random, kernels, progress }) {
    const { x, n, d, models } = examples;
    const clusters = findClusters(x, n, d, { k: options.n_tasks, rounds: 15, random, kernels });
    const mean = meanQuality(examples);
    const shape = { d, k: options.hidden_dim, m: models.length };
    const parameters = createParameters(shape, mean, random);
    const all = Object.values(parameters) as Matrix[];
    descend(
      all,
      new Set(all.filter(({ rows }) => rows > 1)),
      {
        rows: n,
        rounds: options.train_epoch,
        batchSize: options.batch_size,
        rate: options.learning_rate,
        decay: options.weight_decay,
        shuffle: shuffler(random),
        progress,
      },
      (tape, rows) => {
        const masked = Math.max(1, Math.round(rows.length * options.train_mask_rate));
        const sample: Graph = {
          examples,
          mean,
          taskOf: clusters.of,
          tasks: clusters.k,
          context: rows.subarray(masked),
          targets: rows.subarray(0, masked),
        };
        const { scores } = runGraph(tape, parameters, sample);
        pointwiseLoss(scores, sample.targets, examples);
      },
    );
    const everything = Int32Array.from({ length: n }, (_, row) => row);
    const whole: Graph = {
      examples,
      mean,
      taskOf: clusters.of,
      tasks: clusters.k,
      context: everything,
      targets: everything.subarray(0, 1),
    };
    const { first, firstBias, last, lastBias } = collapse(
      parameters,
      runGraph(createTape(), parameters, whole),
    );
    const { k, m } = shape;
    return {
      tensors: {
        "graph.task": f32(clusters.centroids, clusters.k, d),
        "graph.query": f32(parameters.query.values, k, d),
        "graph.query_bias": f32(parameters.queryBias.values, k),
        "graph.first": f32(first, k, k),
        "graph.first_bias": f32(firstBias, clusters.k, k),
        "graph.last": f32(last, m, k),
        "graph.last_bias": f32(lastBias, clusters.k, m),
      },
      json: { hidden_dim: k, n_tasks: clusters.k },
    };
  },
  load({ tensors }, { d, m }, createKernels) {
    const queries = takeF32(tensors, "graph.query", [-1, d]);
    const k = queries.length / d;
    const bias = takeF32(tensors, "graph.query_bias", [k]);
    const tasks = takeF32(tensors, "graph.task", [-1, d]);
    const count = tasks.length / d;
    if (count < 1) throw new GatewayError("artifact_refused", "graph: there is no task");
    const firstBias = takeF32(tensors, "graph.first_bias", [count, k]);
    const lastBias = takeF32(tensors, "graph.last_bias", [count, m]);
    const findTask = createNearest(tasks, d, createKernels);
    const enter = createMatvec(queries, bias, d, createKernels);
    const first = createMatvec(
      takeF32(tensors, "graph.first", [k, k]),
      undefined,
      k,
      createKernels,
    );
    const last = createMatvec(takeF32(tensors, "graph.last", [m, k]), undefined, k, createKernels);
    const uncertainty = new Float32Array(m).fill(Number.NaN);
    return {
      sync: true,
      score(x) {
        const task = findTask(x);
        const q0 = enter(x);
        for (let i = 0; i < k; i++) q0[i] = Math.max(0, q0[i] as number);
        const q1 = first(q0);
        for (let i = 0; i < k; i++) {
          q1[i] = Math.max(0, (q1[i] as number) + (firstBias[task * k + i] as number));
        }
        const quality = last(q1);
        for (let j = 0; j < m; j++) {
          quality[j] = (quality[j] as number) + (lastBias[task * m + j] as number);
        }
        sigmoids(quality);
        return { quality, uncertainty };
      },
      close: () => undefined,
    };
  },
});
