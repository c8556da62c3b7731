/**
 * The files of a sentence transformer that the operator brings: `model.onnx` and a WordPiece
 * vocabulary, laid out as sentence-transformers and optimum export them.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { GatewayError } from "../domain/errors.ts";

export interface EncoderFiles {
  readonly model: Uint8Array;
  /** A piece per line, in the order of ids. */
  readonly vocabulary: Uint8Array;
  readonly lower: boolean;
  readonly pooling: "mean" | "first";
  /** [CLS] and [SEP] included. */
  readonly maxTokens: number;
}

const modelNames = [
  "model.onnx",
  "onnx/model.onnx",
  "model_quantized.onnx",
  "onnx/model_quantized.onnx",
];
const defaultMaxTokens = 256;
const mostTokens = 512;

/**
 * Reads a folder, or the folder around a model file. `maxTokens` overrides what the files say.
 * @throws GatewayError config_invalid, naming the file that is missing or of another kind.
 */
export function readEncoderFiles(path: string, maxTokens?: number): EncoderFiles {
  const { folders, model } = locate(path);
  const find = (name: string) => folders.map((f) => join(f, name)).find((file) => existsSync(file));
  const json = (name: string) => readJson(find(name));
  const tokenizer = json("tokenizer.json");
  const vocabularyFile = find("vocab.txt");
  if (!vocabularyFile && !tokenizer) {
    invalid(`no vocab.txt or tokenizer.json beside ${model}`);
  }
  const vocabulary = vocabularyFile
    ? normalizeLines(readFileSync(vocabularyFile))
    : readVocabulary(tokenizer);
  const lower =
    at(tokenizer, "normalizer", "lowercase") ?? at(json("tokenizer_config.json"), "do_lower_case");
  const pooling = json("1_Pooling/config.json");
  const stated =
    at(json("sentence_bert_config.json"), "max_seq_length") ??
    at(json("config.json"), "max_position_embeddings");
  const limit = maxTokens ?? (typeof stated === "number" ? stated : defaultMaxTokens);
  return {
    model: readFileSync(model),
    vocabulary,
    lower: lower !== false,
    pooling: at(pooling, "pooling_mode_cls_token") === true ? "first" : "mean",
    maxTokens: Math.max(3, Math.min(limit, mostTokens)),
  };
}

function locate(path: string): { folders: readonly string[]; model: string } {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) invalid(`there is nothing at ${path}`);
  if (stats.isFile()) {
    const folder = dirname(path);
    return { folders: [folder, dirname(folder)], model: path };
  }
  const model = modelNames.map((name) => join(path, name)).find((file) => existsSync(file));
  if (!model) return invalid(`no model.onnx in ${path}`);
  return { folders: [path], model };
}

function readJson(file: string | undefined): unknown {
  if (!file) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (thrown) {
    return invalid(`${file} is not JSON`, thrown);
  }
}

/** What lies under some keys of a parsed file, or nothing. */
function at(value: unknown, ...keys: readonly string[]): unknown {
  let current = value;
  for (const key of keys) {
    if (typeof current !== "object" || current === null) return undefined;
    current = (current as Record<string, unknown>)[key];
  }
  return current;
}

function readVocabulary(tokenizer: unknown): Uint8Array {
  const kind = at(tokenizer, "model", "type");
  const vocabulary = at(tokenizer, "model", "vocab");
  const isWordPiece = kind === "WordPiece" || (kind === undefined && !Array.isArray(vocabulary));
  if (!isWordPiece || typeof vocabulary !== "object" || vocabulary === null) {
    invalid(`tokenizer.json is of type ${String(kind)}; RouteIQ reads WordPiece (BERT's family)`);
  }
  const lines: string[] = [];
  for (const [piece, id] of Object.entries(vocabulary as Record<string, number>)) {
    if (!Number.isInteger(id) || id < 0 || id > 1_000_000) invalid("tokenizer.json has a bad id");
    lines[id] = piece;
  }
  const whole = Array.from(lines, (piece, id) => piece ?? `[unused-${id}]`);
  return new TextEncoder().encode(`${whole.join("\n")}\n`);
}

function normalizeLines(bytes: Uint8Array): Uint8Array {
  return bytes.includes(13) ? bytes.filter((byte) => byte !== 13) : bytes;
}

function invalid(reason: string, cause?: unknown): never {
  throw new GatewayError("config_invalid", `ONNX encoder: ${reason}.`, { cause });
}
