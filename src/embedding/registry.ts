/**
 * The family of embedders. An artifact names the one that it was trained with by id; a server that
 * has another refuses the artifact rather than score vectors that mean something else.
 */
import type { Embedder } from "./embedder.ts";
import { createOnnxEmbedder } from "./onnx.ts";
import type { OnnxRuntime } from "./onnx-runtime.ts";
import { createStaticEmbedder } from "./static.ts";

/** Which embedder: the built-in one, or a sentence transformer of the operator's. */
export type EmbedderChoice =
  | { readonly kind: "static" }
  | { readonly kind: "onnx"; readonly path: string; readonly maxTokens?: number };

/** `runtime` gives the ONNX runtime, made only when the choice needs it; its maker closes it. */
export async function createEmbedder(
  choice: EmbedderChoice,
  runtime: () => OnnxRuntime,
): Promise<Embedder> {
  if (choice.kind === "static") return createStaticEmbedder();
  return createOnnxEmbedder(runtime(), choice.path, choice.maxTokens);
}
