/**
 * Torch's state dicts, as data: the dense layers of a network (LLMRouter's MLPClassifierNN, or any
 * row of Linear layers) and the bilinear factorisation of its MFRouter.
 * Source: LLMRouter, models/mlprouter/router.py and models/mfrouter/router.py
 */
import type { ImportedNetwork } from "../../routing/strategies/imported/imported-network.ts";
import type { Tensor as OurTensor } from "../../routing/strategies/strategy.ts";
import {
  checkLabels,
  type ImportedRouter,
  type ImportOptions,
  toDoubles,
  toSingles,
} from "./imported-router.ts";
import { toFloats } from "./numpy.ts";
import type { RoutingLabels } from "./routing-labels.ts";
import { tensorOf } from "./sklearn-steps.ts";
import { refuseImport, Tensor, type Value } from "./values.ts";

export type StateDict = ReadonlyMap<string, Tensor>;

/** A state dict, alone or under the key that training scripts keep it by. */
export function findStateDict(value: Value): StateDict | undefined {
  if (!(value instanceof Map)) return undefined;
  for (const key of ["state_dict", "model_state_dict", "model"]) {
    const inner = value.get(key);
    if (inner instanceof Map) return findStateDict(inner);
  }
  const tensors = [...value].filter(
    (entry): entry is [string, Tensor] =>
      typeof entry[0] === "string" && entry[1] instanceof Tensor,
  );
  return tensors.length > 0 && tensors.length === value.size ? new Map(tensors) : undefined;
}

/** @throws GatewayError artifact_refused for parameters of another network */
export function fromStateDict(state: StateDict, options: ImportOptions): ImportedRouter {
  const factors = state.get("P.weight");
  const projection = state.get("text_proj.weight");
  const classifier = state.get("classifier.weight");
  if (factors && projection && classifier && state.size === 3) {
    return fromFactors({ factors, projection, classifier }, options);
  }
  return fromLayers(state, options);
}

/** A name without its number and kind, the number, and the kind: `layers.2.weight`. */
const layerName = /^(?:(?:[A-Za-z_]\w*\.)*)(\d{1,3})\.(weight|bias)$/;

function fromLayers(state: StateDict, options: ImportOptions): ImportedRouter {
  const numbers = new Set<number>();
  const parts = new Map<string, Tensor>();
  for (const [name, tensor] of state) {
    const [, number, kind] = layerName.exec(name) ?? [];
    if (number === undefined || parts.has(`${number}.${kind}`)) return refuseKeys(state);
    numbers.add(Number(number));
    parts.set(`${number}.${kind}`, tensor);
  }
  const order = [...numbers].sort((a, b) => a - b);
  if (order.length > 16) refuseImport("the network has more than 16 layers");
  const tensors: Record<string, OurTensor> = {};
  let width: number | undefined;
  const layers = order.map((number, i) => {
    const weight = parts.get(`${number}.weight`);
    const [outputs, inputs] = weight?.shape ?? [];
    if (weight?.shape.length !== 2 || outputs === undefined || inputs === undefined) {
      return refuseKeys(state);
    }
    if (width !== undefined && width !== inputs) refuseImport("the network's layers do not fit");
    width = outputs;
    const bias = parts.get(`${number}.bias`);
    if (bias && bias.shape[0] !== outputs) refuseImport("the network's layers do not fit");
    tensors[`layer.${i}`] = tensorOf(toSingles(toFloats(weight), "a layer"), outputs, inputs);
    const activation = i === order.length - 1 ? "identity" : (options.activation ?? "relu");
    return {
      bias: toDoubles(bias ? toFloats(bias) : new Float64Array(outputs), "a bias"),
      activation,
    };
  });
  return {
    strategy: "imported-network",
    origin: "a Torch state dict (dense layers)",
    inputs: tensors["layer.0"]?.shape[1] ?? 0,
    labels: labelsFor(layers.at(-1)?.bias.length ?? 0, options, "best"),
    said: "shares",
    learned: { layers, output: "softmax", steps: [] } satisfies ImportedNetwork & { steps: [] },
    tensors,
  };
}

interface Factors {
  readonly factors: Tensor;
  readonly projection: Tensor;
  readonly classifier: Tensor;
}

/** w₂·(p̂ₘ ⊙ W₁x) is linear in x: one row per model, reckoned out here. */
function fromFactors({ factors, projection, classifier }: Factors, options: ImportOptions) {
  const [m = 0, rank = 0] = factors.shape;
  const [rows, inputs = 0] = projection.shape;
  if (rows !== rank || classifier.shape.length !== 2 || classifier.shape[1] !== rank) {
    return refuseImport("the factorisation's parts do not fit each other");
  }
  const p = toFloats(factors);
  const w1 = toFloats(projection);
  const w2 = toFloats(classifier);
  const combined = new Float64Array(m * inputs);
  for (let j = 0; j < m; j++) {
    const own = p.subarray(j * rank, (j + 1) * rank);
    const length = Math.max(1e-12, Math.hypot(...own)); // as torch.nn.functional.normalize
    for (let k = 0; k < rank; k++) {
      const weight = ((own[k] as number) / length) * (w2[k] as number);
      for (let i = 0; i < inputs; i++) {
        combined[j * inputs + i] =
          (combined[j * inputs + i] as number) + weight * (w1[k * inputs + i] as number);
      }
    }
  }
  const bias = new Array<number>(m).fill(0);
  const learned = {
    layers: [{ bias, activation: "identity" }],
    output: "logistic",
    steps: [],
  } satisfies ImportedNetwork & { steps: [] };
  return {
    strategy: "imported-network",
    origin: "a Torch state dict (LLMRouter's BilinearMF)",
    inputs,
    labels: labelsFor(m, options, "rows"),
    said: "decision" as const,
    learned,
    tensors: { "layer.0": tensorOf(toSingles(combined, "the factors"), m, inputs) },
  };
}

function labelsFor(
  count: number,
  { labels: named, routing }: ImportOptions,
  order: keyof RoutingLabels,
): readonly string[] {
  const labels = named ?? routing?.[order];
  if (!labels) {
    return refuseImport(
      `a Torch file holds no names: its ${count} outputs need --labels NAME,NAME… in the order of ` +
        "training, or --routing-data FILE, LLMRouter's own (default_routing_train_data.jsonl)",
    );
  }
  if (labels.length !== count) {
    refuseImport(`${labels.length} labels are given, and the network has ${count} outputs`);
  }
  return checkLabels(labels);
}

function refuseKeys(state: StateDict): never {
  const names = [...state.keys()].slice(0, 6).map((name) => name.slice(0, 40));
  return refuseImport(
    `the state dict (${names.join(", ")}${state.size > 6 ? ", …" : ""}) is neither a row of dense ` +
      "layers nor LLMRouter's matrix factorisation. A graph router is trained anew: " +
      "routeiq train --strategy llmrouter-graph",
  );
}
