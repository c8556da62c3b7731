/**
 * The embedder that the operator brings: a sentence transformer as ONNX, in the ONNX worker.
 * Milliseconds a text (5 to 50 on one core), so routers that use it answer with a promise.
 */
import type { Embedder } from "./embedder.ts";
import type { OnnxRuntime } from "./onnx-runtime.ts";
import type { EncoderChoice } from "./onnx-thread.ts";

/**
 * Opens a folder (or model file); onnx-files.ts says what is looked for. The id names the model,
 * its vocabulary and how they are used, not where they lie. The runtime stays its owner's to close.
 * @throws GatewayError config_invalid or artifact_refused.
 */
export async function createOnnxEmbedder(
  runtime: OnnxRuntime,
  choice: EncoderChoice,
): Promise<Embedder> {
  const encoder = await runtime.openEncoder(choice);
  return {
    id: `onnx@${encoder.sha256.slice(0, 16)}`,
    sha256: encoder.sha256,
    dimensions: encoder.dimensions,
    sync: false,
    maxChars: encoder.maxChars,
    embed: (text) => encoder.encode(text.slice(0, encoder.maxChars)),
    close: encoder.close,
  };
}
