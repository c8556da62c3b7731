/** What `train` and `eval` read: flags, data files, prices, the embedder. */
import { GatewayError } from "../domain/errors.ts";
import type { Embedder, FeatureExtractor } from "../embedding/embedder.ts";
import { createOnnxRuntime } from "../embedding/onnx-runtime.ts";
import { createEmbedder } from "../embedding/registry.ts";
import { readPrices, readRows } from "../learning/dataset.ts";
import { readTable, type Table } from "../learning/table.ts";
import type { OpenOnnx } from "../routing/strategies/strategy.ts";
import { systemClock } from "../std/clock.ts";
import type { CommandContext, Output } from "./command.ts";
import { UsageError } from "./parse.ts";

type Flags = CommandContext["flags"];

export function textFlag(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === "string" ? value : undefined;
}

export function listFlag(flags: Flags, name: string): readonly string[] {
  const value = flags[name];
  if (value === undefined || typeof value === "boolean") return [];
  return typeof value === "string" ? [value] : value;
}

/** A whole number of at least 0. @throws UsageError */
export function seedFlag(flags: Flags): number {
  const text = textFlag(flags, "seed");
  if (text === undefined) return 1;
  const seed = Number(text);
  if (!/^\d+$/.test(text) || seed > 0xffffffff) {
    throw new UsageError(`--seed ${text} is not a whole number from 0 to 4294967295.`);
  }
  return seed;
}

/** `--option NAME=VALUE`: the value as JSON where it is JSON, else as text. @throws UsageError */
export function optionFlags(flags: Flags): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    listFlag(flags, "option").map((text) => {
      const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined) {
        throw new UsageError(`--option ${text} is not of the form NAME=VALUE.`);
      }
      try {
        return [name, JSON.parse(value) as unknown];
      } catch {
        return [name, value]; // a model's name, say
      }
    }),
  );
}

export const embedderFlag = {
  description: "Folder of a sentence transformer (ONNX), instead of the built-in embedder.",
  value: "DIR",
} as const;

/** Training has time: a text of 512 pieces takes a slow machine a second. */
const encodeTimeoutMs = 60_000;

export interface Encoding {
  readonly embedder: Embedder;
  /** For routers whose network is more than our kernels run. */
  readonly openOnnx: OpenOnnx;
  /** Ends the thread of onnxruntime, where one was needed. */
  close(): void;
}

/** What --embedder names, or the built-in one. */
export async function openEmbedder(flags: Flags): Promise<Encoding> {
  const path = textFlag(flags, "embedder");
  let runtime: ReturnType<typeof createOnnxRuntime> | undefined;
  const open = () => {
    runtime ??= createOnnxRuntime({ clock: systemClock, runTimeoutMs: encodeTimeoutMs });
    return runtime;
  };
  const choice =
    path === undefined ? ({ kind: "static" } as const) : { kind: "onnx" as const, path };
  const embedder = await createEmbedder(choice, open).catch((thrown: unknown) => {
    runtime?.close();
    throw thrown;
  });
  return {
    embedder,
    openOnnx: (bytes) => open().openModel(bytes),
    close() {
      embedder.close();
      runtime?.close();
    },
  };
}

export interface DataInput {
  readonly paths: readonly string[];
  readonly prices: string | undefined;
  readonly extractor: FeatureExtractor;
  readonly models: "all" | "common";
  readonly out: Output;
}

/** Data files as one table. @throws GatewayError invalid_request with file and line */
export async function readData(input: DataInput): Promise<Table> {
  const { paths, prices, extractor, models, out } = input;
  const sources = [];
  for (const path of paths) {
    sources.push({ rows: readRows(path), prices: await readPrices(path, prices) });
  }
  const table = await readTable(sources, extractor, models, (count) => {
    // The number of rows is not known before the end: the bar creeps towards it.
    if (count % 500 === 0) out.progress("read", count / (count + 2000));
  });
  out.progress("read", 1);
  if (table.n === 0) throw new GatewayError("invalid_request", `${paths.join(", ")}: no rows`);
  return table;
}
