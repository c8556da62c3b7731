/**
 * A small dense network: ReLU layers and one sigmoid per model, trained on every model's score at
 * once (cross-entropy on the 0..1 scores, Adam with decoupled weight decay, a step that falls along a
 * cosine), for few rounds: a router's signal is weak, and more of them learn the noise.
 * Sources: Kingma & Ba, "Adam", 2015; Loshchilov & Hutter, "Decoupled weight decay", 2019.
 * LLMRouter's `mlprouter` classifies the best model's name; option names are scikit-learn's.
 * Cost of a decision: one matrix-vector product per layer.
 */
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { GatewayError } from "../../domain/errors.ts";
import { createDenseRunner, denseBytes } from "../../kernels/dense-network.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { toDenseNetwork, writeDenseOnnx } from "../../kernels/onnx-dense.ts";
import { readOnnx } from "../../kernels/onnx-format.ts";
import { clampShare, clampShares } from "./examples.ts";
import {
  defineStrategy,
  type Fitted,
  type OpenOnnx,
  type Scorer,
  type ScorerShape,
} from "./strategy.ts";
import { type MlpOptions, trainNetwork } from "./train-network.ts";

/** The network inside the artifact: the only place its weights stand. */
const mlpPath = "mlp.onnx";

export const mlp = defineStrategy({
  name: "llmrouter-mlp",
  summary: "A small neural network that estimates every model's quality at once.",
  options: Type.Object({
    hidden_layer_sizes: Type.Array(Type.Integer({ minimum: 1, maximum: 512 }), {
      default: [48],
      maxItems: 4,
      description: "Units of each hidden layer.",
    }),
    alpha: Type.Number({ default: 0.05, minimum: 0, description: "Weight decay." }),
    learning_rate_init: Type.Number({
      default: 0.002,
      exclusiveMinimum: 0,
      maximum: 1,
      description: "Adam's step size.",
    }),
    batch_size: Type.Integer({ default: 32, minimum: 1, maximum: 4096 }),
    max_iter: Type.Integer({
      default: 12,
      minimum: 1,
      maximum: 1000,
      description: "Rounds over the training queries.",
    }),
  }),
  fit(examples, options, context) {
    const network = trainNetwork(examples, options, context);
    const layers = [examples.d, ...network.layers.map(({ outputs }) => outputs)];
    return { tensors: {}, json: { layers }, files: { [mlpPath]: writeDenseOnnx(network) } };
  },
  load: loadMlp,
});

/** What `mlp` is trained with unless told otherwise. */
export const mlpDefaults = Value.Default(mlp.options, {}) as MlpOptions & {
  hidden_layer_sizes: number[];
};

/** Above so many weights a network goes to onnxruntime, off the serving thread. */
const mostWeights = 1_000_000;
const limits = { maxBytes: 64 * 1024 * 1024 } as const;

/**
 * A chain of dense layers is run by our kernels, on the calling thread; any other ONNX graph, or a
 * big one, by onnxruntime in its worker, where there is one.
 */
export async function loadMlp(
  { files }: Fitted,
  shape: ScorerShape,
  createKernels: (bytes: number) => Kernels,
  openOnnx?: OpenOnnx,
): Promise<Scorer> {
  const bytes = files?.[mlpPath];
  if (!bytes) throw new GatewayError("artifact_refused", `mlp: the artifact has no ${mlpPath}`);
  const network = toDenseNetwork(readOnnx(bytes, limits));
  const weights = network?.layers.reduce((sum, { weight }) => sum + weight.length, 0) ?? 0;
  if (!network || weights > mostWeights) return openForeign(bytes, shape, openOnnx);
  if (network.layers[0]?.inputs !== shape.d || network.layers.at(-1)?.outputs !== shape.m) {
    throw new GatewayError("artifact_refused", "mlp: the layers do not fit the router's shape");
  }
  const numbers = network.layers.flatMap(({ weight, bias }) => [weight, bias]);
  if (!numbers.every((values) => values.every(Number.isFinite))) {
    throw new GatewayError("artifact_refused", "mlp: a weight is not a finite number");
  }
  const runner = createDenseRunner(createKernels(denseBytes(network)), network);
  const uncertainty = new Float32Array(shape.m).fill(Number.NaN);
  return {
    sync: true,
    score(x) {
      runner.input.set(x);
      const quality = runner.run();
      clampShares(quality);
      return { quality, uncertainty };
    },
    close: () => undefined,
  };
}

async function openForeign(
  bytes: Uint8Array,
  { d, m }: ScorerShape,
  openOnnx: OpenOnnx | undefined,
): Promise<Scorer> {
  if (!openOnnx) {
    throw new GatewayError(
      "artifact_refused",
      "mlp: the network is no small chain of dense layers, and no ONNX runtime is at hand",
    );
  }
  const session = await openOnnx(bytes);
  const probe = await session.run(new Float32Array(d), 1);
  if (probe.length !== m) {
    session.close();
    throw new GatewayError("artifact_refused", "mlp: the graph does not fit the router's shape");
  }
  const uncertainty = new Float32Array(m).fill(Number.NaN);
  return {
    sync: false,
    async score(x) {
      const quality = await session.run(x, 1);
      return { quality: quality.map(clampShare), uncertainty };
    },
    close: () => session.close(),
  };
}
