/** What is slow about documents, in a background thread: their text, its passages, their vectors. */
import type { StaticEmbedder } from "../../embedding/static.ts";
import { Moved } from "../../std/rpc.ts";
import { type ChunkSettings, chunkText } from "./chunk-text.ts";
import { extractText } from "./extract-text.ts";

export interface DocumentToRead {
  readonly bytes: Uint8Array;
  readonly filename: string;
  readonly chunks: ChunkSettings;
}

export interface DocumentService {
  /** @throws RpcError invalid_file, unsupported_file */
  readPassages(document: DocumentToRead): Promise<readonly string[]>;
  /** By the built-in embedder: n×d, row-major. */
  embed(texts: readonly string[]): Promise<Moved<BuiltInVectors>>;
}

export interface BuiltInVectors {
  readonly embedder: string;
  readonly dimensions: number;
  readonly values: Float32Array;
}

export function createDocumentThread(): DocumentService {
  let loading: Promise<StaticEmbedder> | undefined;
  const load = () => {
    loading ??= import("../../embedding/static.ts").then(({ createStaticEmbedder }) =>
      createStaticEmbedder(),
    );
    return loading;
  };
  return {
    async readPassages({ bytes, filename, chunks }) {
      return chunkText(await extractText(bytes, filename), chunks);
    },
    async embed(texts) {
      const embedder = await load();
      const { dimensions, id } = embedder;
      const values = new Float32Array(texts.length * dimensions);
      for (const [i, text] of texts.entries()) {
        embedder.embedInto(text, values.subarray(i * dimensions, (i + 1) * dimensions));
      }
      return new Moved({ embedder: id, dimensions, values }, [values.buffer]);
    },
  };
}
