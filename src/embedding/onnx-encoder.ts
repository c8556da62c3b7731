/**
 * A sentence encoder around an ONNX run: WordPiece ids with [CLS] and [SEP], the hidden states pooled
 * to one vector, of unit length unless told otherwise. As sentence-transformers does it (Reimers & Gurevych, 2019).
 */
import { GatewayError } from "../domain/errors.ts";
import { createKernels } from "../kernels/create.ts";
import type { EncoderFiles } from "./onnx-files.ts";
import { countPieces, createTokenizer, findPiece, tokenizerBytes } from "./tokenizer.ts";

export interface Encoder {
  readonly maxChars: number;
  /** Zero for a text that says nothing. */
  encode(text: string): Promise<Float32Array>;
}

/** Hidden states [1, n, d], or a finished vector [1, d]. */
export interface Hidden {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** English has under five characters a token; ten loses nothing that maxTokens would have kept. */
const charsPerToken = 10;

export function createEncoder(
  { vocabulary, lower, pooling, maxTokens }: EncoderFiles,
  run: (ids: BigInt64Array) => Promise<Hidden>,
  normalize = true,
): Encoder {
  const maxChars = maxTokens * charsPerToken;
  const pieces = countPieces(vocabulary);
  const options = { vocabulary, pieces, lower, maxChars, maxTokens: maxTokens - 2 };
  const kernels = createKernels(tokenizerBytes(options));
  const tokenizer = createTokenizer(kernels, options);
  const special = (piece: string) => {
    const id = findPiece(vocabulary, piece);
    if (id !== undefined) return BigInt(id);
    throw new GatewayError("config_invalid", `The ONNX encoder's vocabulary has no ${piece}.`);
  };
  const [cls, sep] = [special("[CLS]"), special("[SEP]")];
  let dimensions = 0;

  return {
    maxChars,
    async encode(text) {
      const count = tokenizer.tokenize(text);
      if (count === 0) return new Float32Array(dimensions);
      const found = Array.from(kernels.i32(tokenizer.ids, count), BigInt);
      const { data, dims } = await run(BigInt64Array.from([cls, ...found, sep]));
      dimensions = dims.at(-1) ?? 0;
      const rows = dims.length === 3 ? (dims[1] as number) : 1;
      const vector =
        pooling === "mean" || rows === 1 ? mean(data, rows) : data.slice(0, dimensions);
      return normalize ? toUnit(vector) : vector;
    },
  };
}

function mean(data: Float32Array, rows: number): Float32Array {
  const d = data.length / rows;
  const sum = new Float64Array(d);
  for (let i = 0; i < data.length; i++) sum[i % d] = (sum[i % d] as number) + (data[i] as number);
  return Float32Array.from(sum, (value) => value / rows);
}

function toUnit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length > 0 ? vector.map((value) => value / length) : vector;
}
