/** Why a router does not fit the embedder in force, and what to configure so that it does. */
import type { Embedder } from "../embedding/embedder.ts";
import type { RouterFile } from "./router-format.ts";

export function otherEmbedder(
  { id, dimensions }: RouterFile["embedder"],
  inForce: Pick<Embedder, "id">,
): string {
  return (
    `the router was trained with embedder ${id}, in force is ${inForce.id}: ` +
    `${toRemedy(id, dimensions)}, or train it again`
  );
}

function toRemedy(id: string, dimensions: number): string {
  const [, raw, model] = /^(raw-)?model:(.+)@[0-9a-f]{16}$/.exec(id) ?? [];
  if (model !== undefined) {
    const settings = `{model: ${model}, dimensions: ${dimensions}, normalize: ${raw === undefined}}`;
    return `set routeiq_settings.embedding: ${settings}`;
  }
  if (id.startsWith("unnamed-")) {
    return `import it again with --embedder, which names whose vectors of ${dimensions} numbers it takes`;
  }
  if (id.startsWith("onnx@")) {
    return "set routeiq_settings.embedding.onnx_path to the folder of that sentence transformer, and normalize as it was";
  }
  return "use the built-in embedder (no routeiq_settings.embedding) of the version that trained it";
}
