/**
 * The file of a static embedder: a safetensors container, so that other tools read it too.
 * Tensors: rows I8 [n, d], scales F32 [n], bias F32 [d], vocabulary U8 (a piece per line).
 * Source: the safetensors format: u64 header length, JSON header, then the tensors' bytes.
 */
import { assert } from "../std/assert.ts";

export interface EmbeddingTable {
  readonly name: string;
  readonly dimensions: number;
  readonly pieces: number;
  /** n×d, row-major; row i stands for scales[i]·rows[i]. */
  readonly rows: Int8Array;
  readonly scales: Float32Array;
  /** d: added to every mean, because the teacher's vectors were centred before the fit. */
  readonly bias: Float32Array;
  readonly vocabulary: Uint8Array;
}

interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Reads a table that we made and embedded; what is wrong with it is a bug of ours. */
export function readTable(bytes: Uint8Array): EmbeddingTable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerEnd = 8 + Number(view.getBigUint64(0, true));
  assert(headerEnd <= bytes.length, "the embedding table's header lies within the file");
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, headerEnd))) as Record<
    string,
    TensorEntry
  > & { readonly __metadata__: Readonly<Record<string, string>> };
  const tensor = (name: string, dtype: string) => {
    const entry = header[name];
    assert(entry?.dtype === dtype, `the embedding table has ${name} as ${dtype}`);
    const [from, to] = entry.data_offsets;
    const data = bytes.subarray(headerEnd + from, headerEnd + to);
    return { shape: entry.shape, data };
  };
  const rows = tensor("rows", "I8");
  const [pieces = 0, dimensions = 0] = rows.shape;
  assert(dimensions > 0 && dimensions % 16 === 0, "the kernels take 16 dimensions at a time");
  const table = {
    name: header.__metadata__["name"] ?? "table",
    dimensions,
    pieces,
    rows: new Int8Array(rows.data.buffer, rows.data.byteOffset, rows.data.length),
    scales: toFloats(tensor("scales", "F32").data),
    bias: toFloats(tensor("bias", "F32").data),
    vocabulary: tensor("vocabulary", "U8").data,
  };
  assert(table.rows.length === pieces * dimensions, "rows has n·d values");
  assert(table.scales.length === pieces && table.bias.length === dimensions, "scales n, bias d");
  return table;
}

/** A copy, because the bytes may not lie at a multiple of four. */
function toFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}
