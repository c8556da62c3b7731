/** The collapsed form of the graph against the graph itself, on queries it has not seen. */
import { expect, test } from "bun:test";
import { createScalarKernels } from "../../kernels/scalar.ts";
import { createRandom, nextNormal } from "../../std/random.ts";
import { createTape, sigmoid } from "../../std/tape.ts";
import { f32 } from "../safetensors.ts";
import { meanQuality } from "./examples.ts";
import { graph } from "./graph.ts";
import { collapse, createParameters, runGraph } from "./graph-messages.ts";
import type { Examples } from "./strategy.ts";

test("a new query is answered as the whole graph would", () => {
  const random = createRandom(4);
  const [n, d, k, m, tasks] = [60, 16, 6, 3, 4];
  const x = Float32Array.from({ length: n * d }, () => nextNormal(random) / 4);
  const quality = Float32Array.from({ length: n * m }, () =>
    random.next() < 0.2 ? Number.NaN : random.next(),
  );
  const centroids = x.slice(0, tasks * d);
  const nearest = (row: number) => {
    const dots = Array.from({ length: tasks }, (_, t) =>
      centroids
        .subarray(t * d, (t + 1) * d)
        .reduce((sum, value, i) => sum + value * (x[row * d + i] as number), 0),
    );
    return dots.indexOf(Math.max(...dots));
  };
  const examples: Examples = {
    models: ["a", "b", "c"],
    x,
    n,
    d,
    quality,
    weight: new Float32Array(n).fill(1),
    group: new Int32Array(n),
    sizeB: new Float32Array(m),
    priceUsdPerMtok: new Float32Array(m),
  };
  const mean = meanQuality(examples);
  const parameters = createParameters({ d, k, m }, mean, random);
  const rows = Int32Array.from({ length: n }, (_, row) => row);
  const messages = runGraph(createTape(), parameters, {
    examples,
    mean,
    taskOf: rows.map(nearest),
    tasks,
    context: rows.subarray(0, 40),
    targets: rows.subarray(40),
  });
  const { first, firstBias, last, lastBias } = collapse(parameters, messages);
  const tensors = {
    "graph.task": f32(centroids, tasks, d),
    "graph.query": f32(parameters.query.values, k, d),
    "graph.query_bias": f32(parameters.queryBias.values, k),
    "graph.first": f32(first, k, k),
    "graph.first_bias": f32(firstBias, tasks, k),
    "graph.last": f32(last, m, k),
    "graph.last_bias": f32(lastBias, tasks, m),
  };
  const scorer = graph.load({ tensors, json: {} }, { d, m }, createScalarKernels);
  if (scorer instanceof Promise) throw new Error("loading a graph takes no time");
  for (let i = 0; i < 20; i++) {
    const scores = scorer.score(x.subarray((40 + i) * d, (41 + i) * d));
    if (scores instanceof Promise) throw new Error("scoring answers at once");
    scores.quality.forEach((q, j) => {
      expect(q).toBeCloseTo(sigmoid(messages.scores.values[i * m + j] as number), 6);
    });
  }
});
