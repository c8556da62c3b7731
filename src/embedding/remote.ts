/**
 * The embedder that is another model: an embeddings deployment of the configuration, asked over the
 * network. For routers that were trained on the vectors of a model which does not run here.
 * Tens of milliseconds a text, and what that model costs.
 */
import { createHash } from "node:crypto";
import type { Embedder } from "./embedder.ts";

export interface RemoteModel {
  /** The group of `model_list`. */
  readonly model: string;
  readonly dimensions: number;
  /** False: its vectors as they come. True: brought to unit length. */
  readonly normalize: boolean;
}

/** The vector of a text, as the model gives it. Rejects when it gives none. */
export type AskForEmbedding = (model: string, text: string) => Promise<ArrayLike<number>>;

/** Texts that may be asked for at once; one more is refused, and its call is routed without. */
const mostAsked = 256;
/** Embedding models read 512 tokens or 8,192; beyond this they refuse. */
const maxChars = 16_000;

/** Names the model and how it is used; the vectors behind the name are the operator's to keep. */
export function identifyRemote({ model, dimensions, normalize }: RemoteModel) {
  const sha256 = createHash("sha256")
    .update(JSON.stringify({ model, dimensions, normalize }))
    .digest("hex");
  const kind = normalize ? "model" : "raw-model";
  return { id: `${kind}:${model.slice(0, 96)}@${sha256.slice(0, 16)}`, sha256, dimensions };
}

export function createRemoteEmbedder(remote: RemoteModel, ask: AskForEmbedding): Embedder {
  const { model, dimensions, normalize } = remote;
  let asked = 0;
  return {
    ...identifyRemote(remote),
    sync: false,
    maxChars,
    async embed(text) {
      if (text === "") return new Float32Array(dimensions);
      if (asked >= mostAsked) throw new Error(`${mostAsked} texts wait for ${model} already`);
      asked++;
      try {
        const vector = Float32Array.from(await ask(model, text.slice(0, maxChars)));
        if (vector.length !== dimensions || !vector.every(Number.isFinite)) {
          throw new Error(
            `${model} gave a vector of ${vector.length} numbers, and ${dimensions} are expected`,
          );
        }
        return normalize ? toUnit(vector) : vector;
      } finally {
        asked--;
      }
    },
    close: () => undefined,
  };
}

function toUnit(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const length = Math.sqrt(sum);
  return length > 0 ? vector.map((value) => value / length) : vector;
}
