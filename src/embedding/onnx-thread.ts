/**
 * onnxruntime at work, inside the worker (onnx-worker.ts): sessions of models and of sentence
 * encoders. Runs block their thread, and the first session compiles 14 MB of WebAssembly, so nothing
 * else may live on this thread.
 */
import { createHash } from "node:crypto";
import runtimePath from "onnxruntime-web/ort-wasm-simd-threaded.wasm" with { type: "file" };
import * as ort from "onnxruntime-web/wasm";
import { GatewayError } from "../domain/errors.ts";
import { type OnnxModel, readOnnx } from "../kernels/onnx-format.ts";
import { readPackedFile } from "../std/packed-file.ts";
import { createEncoder, type Encoder } from "./onnx-encoder.ts";
import { readEncoderFiles } from "./onnx-files.ts";

export interface OpenedModel {
  readonly session: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface OpenedEncoder {
  readonly session: number;
  readonly sha256: string;
  readonly dimensions: number;
  readonly maxChars: number;
}

export interface EncoderChoice {
  readonly path: string;
  readonly maxTokens?: number;
  /** False: vectors as the model gives them; its id differs then. */
  readonly normalize?: boolean;
}

/** Rows of floats: n×d, row-major. */
export interface FloatRows {
  readonly data: Float32Array;
  readonly rows: number;
}

/** What the worker does, as the main thread calls it. */
export interface OnnxService {
  open(params: { readonly bytes: Uint8Array; readonly maxBytes: number }): Promise<OpenedModel>;
  /** One float input [n, d], the first output [n, m]. */
  run(params: FloatRows & { readonly session: number }): Promise<FloatRows>;
  openEncoder(params: EncoderChoice): Promise<OpenedEncoder>;
  encode(params: { readonly session: number; readonly text: string }): Promise<Float32Array>;
  release(params: { readonly session: number }): Promise<void>;
}

/** An encoder's file may be big, and use the operators that optimisers put in. */
const encoderLimits = { maxBytes: 1 << 30, contributed: true };

interface Held {
  readonly session: ort.InferenceSession;
  readonly encoder?: Encoder;
}

export function createOnnxThread(): OnnxService {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = readPackedFile(runtimePath).buffer;
  ort.env.logLevel = "error";
  const sessions = new Map<number, Held>();
  let last = 0;

  function hold(held: Held): number {
    sessions.set(++last, held);
    return last;
  }
  function get(id: number): Held {
    const held = sessions.get(id);
    if (!held) throw new GatewayError("internal", `ONNX session ${id} is not open.`);
    return held;
  }

  return {
    async open({ bytes, maxBytes }) {
      const model = readOnnx(bytes, { maxBytes });
      const session = await createSession(bytes);
      return { session: hold({ session }), inputs: model.inputs, outputs: model.outputs };
    },
    async run({ session: id, data, rows }) {
      const { session } = get(id);
      const [input] = session.inputNames;
      const [output] = session.outputNames;
      if (input === undefined || output === undefined) {
        throw new GatewayError("artifact_refused", "The ONNX model has no input or no output.");
      }
      const feed = new ort.Tensor("float32", data, [rows, data.length / rows]);
      const results = await session.run({ [input]: feed }, [output]);
      return { data: toFloats(results[output]), rows };
    },
    async openEncoder({ path, maxTokens, normalize = true }) {
      const files = readEncoderFiles(path, maxTokens);
      const model = readOnnx(files.model, encoderLimits);
      const session = await createSession(files.model);
      const encoder = createEncoder(files, toRun(session, model), normalize);
      const { length } = await encoder.encode("a");
      const own = normalize ? [] : ["raw"];
      const settings = JSON.stringify([files.pooling, files.lower, files.maxTokens, ...own]);
      const parts = [files.model, files.vocabulary, new TextEncoder().encode(settings)];
      const digests = parts.map((part) => createHash("sha256").update(part).digest("hex"));
      return {
        session: hold({ session, encoder }),
        sha256: createHash("sha256").update(digests.join("\n")).digest("hex"),
        dimensions: length,
        maxChars: encoder.maxChars,
      };
    },
    async encode({ session, text }) {
      const { encoder } = get(session);
      if (!encoder) throw new GatewayError("internal", `ONNX session ${session} encodes nothing.`);
      return encoder.encode(text);
    },
    async release({ session }) {
      const held = sessions.get(session);
      sessions.delete(session);
      await held?.session.release();
    },
  };
}

async function createSession(bytes: Uint8Array): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(bytes, {
      executionProviders: ["wasm"],
      // int8 weights are unpacked once, at load; without this, on every run (four times slower).
      extra: { session: { disable_quant_qdq: "1" } },
    });
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.slice(0, 200) : String(thrown);
    throw new GatewayError("artifact_refused", `onnxruntime refuses the ONNX model: ${reason}`, {
      cause: thrown,
    });
  }
}

function toFloats(tensor: ort.Tensor | undefined): Float32Array {
  if (tensor?.type !== "float32") {
    throw new GatewayError("artifact_refused", "The ONNX model's first output is not of floats.");
  }
  return tensor.data as Float32Array;
}

/** A run of a BERT-shaped session: int64 ids in, hidden states (or a finished vector) out. */
function toRun(session: ort.InferenceSession, model: OnnxModel) {
  const known = ["input_ids", "attention_mask", "token_type_ids"];
  const strange = model.inputs.find((name) => !known.includes(name));
  if (strange !== undefined || !model.inputs.includes("input_ids")) {
    throw new GatewayError(
      "config_invalid",
      `The ONNX encoder takes ${model.inputs.join(", ")}; RouteIQ feeds ${known.join(", ")}.`,
    );
  }
  const output =
    ["sentence_embedding", "last_hidden_state", "token_embeddings"].find((name) =>
      session.outputNames.includes(name),
    ) ?? (session.outputNames[0] as string);
  return async (ids: BigInt64Array) => {
    const dims = [1, ids.length];
    const ones = new BigInt64Array(ids.length).fill(1n);
    const all = { input_ids: ids, attention_mask: ones, token_type_ids: ones.map(() => 0n) };
    const feeds = Object.fromEntries(
      Object.entries(all)
        .filter(([name]) => model.inputs.includes(name))
        .map(([name, data]) => [name, new ort.Tensor("int64", data, dims)]),
    );
    const result = (await session.run(feeds, [output]))[output];
    return { data: toFloats(result), dims: result?.dims ?? [] };
  };
}
