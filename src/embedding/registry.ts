/**
 * The family of embedders. An artifact names the one that it was trained with by id; a server that
 * has another refuses the artifact rather than score vectors that mean something else.
 */
import type { Embedder } from "./embedder.ts";
import { createStaticEmbedder } from "./static.ts";

/** Which embedder: the built-in one. */
export interface EmbedderChoice {
  readonly kind: "static";
}

/** Built from a choice. Static: at once, about 10 ms. */
export function createEmbedder(_choice: EmbedderChoice = { kind: "static" }): Embedder {
  return createStaticEmbedder();
}
