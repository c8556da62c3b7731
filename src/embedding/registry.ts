/**
 * The family of embedders. An artifact names the one that it was trained with by id; a server that
 * has another refuses the artifact rather than score vectors that mean something else.
 */
import type { Embedder } from "./embedder.ts";
import { createOnnxEmbedder } from "./onnx.ts";
import type { OnnxRuntime } from "./onnx-runtime.ts";
import type { EncoderChoice } from "./onnx-thread.ts";
import { type AskForEmbedding, createRemoteEmbedder, type RemoteModel } from "./remote.ts";
import { createStaticEmbedder } from "./static.ts";

/** Which embedder: the built-in one, a sentence transformer of the operator's, or a model. */
export type EmbedderChoice =
  | { readonly kind: "static" }
  | ({ readonly kind: "onnx" } & EncoderChoice)
  | ({ readonly kind: "model" } & RemoteModel);

/**
 * `runtime` gives the ONNX runtime, made only when the choice needs it; its maker closes it. `ask`
 * gives a model's vectors.
 */
export async function createEmbedder(
  choice: EmbedderChoice,
  runtime: () => OnnxRuntime,
  ask: AskForEmbedding = nobodyToAsk,
): Promise<Embedder> {
  if (choice.kind === "static") return createStaticEmbedder();
  if (choice.kind === "model") return createRemoteEmbedder(choice, ask);
  const { kind: _, ...encoder } = choice;
  return createOnnxEmbedder(runtime(), encoder);
}

const nobodyToAsk: AskForEmbedding = (model) =>
  Promise.reject(new Error(`${model} is asked by a running gateway alone`));
