/** What `train` and `eval` read: flags, data files, prices, the embedder. */
import { GatewayError } from "../domain/errors.ts";
import type { CallEvent } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Embedder, FeatureExtractor } from "../embedding/embedder.ts";
import { createOnnxRuntime } from "../embedding/onnx-runtime.ts";
import { createEmbedder, type EmbedderChoice } from "../embedding/registry.ts";
import { createKernels } from "../kernels/create.ts";
import { readArtifactFolder } from "../learning/artifacts/folder.ts";
import { type StoreAccess, toS3Settings } from "../learning/artifacts/open-repository.ts";
import { openLocalFile } from "../learning/data/input-file.ts";
import { type Labels, readLabels } from "../learning/data/labels.ts";
import { openInputs } from "../learning/data/open-inputs.ts";
import { createProblems } from "../learning/data/problems.ts";
import { createReadContext, type ReadContext, readFile } from "../learning/data/read-rows.ts";
import { type ModelPrice, type PriceList, readPrices } from "../learning/dataset.ts";
import { readSource } from "../learning/events/event-source.ts";
import type { RowSample } from "../learning/robustness/sample.ts";
import { addRows, createTableBuilder, type Table, type TableBuilder } from "../learning/table.ts";
import { loadRouter } from "../routing/load-router.ts";
import type { OpenOnnx } from "../routing/strategies/strategy.ts";
import type { TrainedRouter } from "../routing/trained-router.ts";
import { createOutbound } from "../security/outbound.ts";
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
  description:
    "Folder of a sentence transformer (ONNX), or model:NAME#LENGTH, instead of the built-in embedder.",
  value: "WHICH",
} as const;

export const rawFlag = {
  description: "The embedder's vectors as they are, not brought to unit length.",
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

/**
 * What --embedder names, or the built-in one. A model of the configuration is known by name alone:
 * only a running gateway asks it.
 */
export async function openEmbedder(flags: Flags, dimensions?: number): Promise<Encoding> {
  const choice = toChoice(flags, dimensions);
  let runtime: ReturnType<typeof createOnnxRuntime> | undefined;
  const open = () => {
    runtime ??= createOnnxRuntime({ clock: systemClock, runTimeoutMs: encodeTimeoutMs });
    return runtime;
  };
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

export const labelsFlag = {
  description: "Scores by call_id or trace_id (JSONL, CSV) for traces and events.",
  value: "FILE…",
  many: true,
} as const;

function toChoice(flags: Flags, known: number | undefined): EmbedderChoice {
  const named = textFlag(flags, "embedder");
  const normalize = flags["raw"] !== true;
  if (named === undefined || named === "static") return { kind: "static" };
  const [, model, length] = /^model:(.+?)(?:#(\d{1,4}))?$/.exec(named) ?? [];
  if (model === undefined) return { kind: "onnx", path: named, normalize };
  const dimensions = known ?? Number(length ?? 0);
  if (dimensions > 0) return { kind: "model", model, dimensions, normalize };
  throw new UsageError(`--embedder ${named} needs the length of its vectors: model:${model}#768.`);
}

export interface DataInput {
  /** Files, folders, s3://bucket/prefix, Jaeger's http://host:16686?service=NAME. */
  readonly paths: readonly string[];
  readonly prices: string | undefined;
  readonly extractor: FeatureExtractor;
  readonly models: "all" | "common";
  readonly out: Output;
  readonly env?: CommandContext["env"];
  readonly reading?: ReadContext;
  /** Keeps a few rows with their text. */
  readonly sample?: RowSample;
}

/**
 * Data files as one table; what could not be read is said on standard error.
 * @throws GatewayError invalid_request where nothing can be read
 */
export async function readData(input: DataInput): Promise<Table> {
  const { paths, models, out } = input;
  const reading = input.reading ?? createReading(out);
  const builder = createTableBuilder();
  const prices = await addData(builder, { ...input, reading });
  out.progress("read", 1);
  if (builder.size === 0) throw nothingRead(paths, reading);
  return builder.finish(prices, models);
}

/** Rows of every input into the builder; the prices that lay beside them. */
export async function addData(
  builder: TableBuilder,
  { paths, prices, extractor, out, env, sample, reading = createReading(out) }: DataInput,
): Promise<PriceList> {
  const list = new Map<string, ModelPrice>();
  const onRow = (count: number) => {
    // The number of rows is not known before the end: the bar creeps towards it.
    if (count % 500 === 0) out.progress("read", count / (count + 2000));
  };
  await withStoreAccess(env ?? {}, async (store) => {
    for await (const input of openInputs(paths, { store, problems: reading.problems })) {
      const local = !/^(s3|https?):\/\//.test(input.name);
      const beside = local || prices ? await readPrices(input.name, prices) : [];
      for (const [model, price] of beside) list.set(model, price);
      const rows = readFile(await input.open(), reading);
      await addRows(builder, sample ? sample.watch(rows) : rows, { extractor, onRow });
    }
  });
  return list;
}

/** What is met while reading; the first problems are told as they come. */
export function createReading(out: Output, labels?: Labels): ReadContext {
  return createReadContext(
    labels,
    createProblems((message) => out.note(`left out: ${message}`)),
  );
}

export function nothingRead(names: readonly string[], { skipped }: ReadContext): GatewayError {
  const { unlabelled, withoutText } = skipped;
  const hint =
    unlabelled > 0
      ? ` ${unlabelled} calls have no score: join some with --labels FILE ({"trace_id", "score"} a line), or put gen_ai.evaluation.score.value on the spans.`
      : withoutText > 0
        ? ` ${withoutText} calls have no prompt: record gen_ai.input.messages (or gen_ai.prompt) on the spans.`
        : "";
  return new GatewayError("invalid_request", `${names.join(", ")}: no rows to learn from.${hint}`);
}

/** Labels of `--labels`; undefined without. */
export async function readLabelFiles(
  { flags, out }: CommandContext,
  problems = createReading(out).problems,
): Promise<Labels | undefined> {
  const paths = listFlag(flags, "labels");
  if (paths.length === 0) return undefined;
  const files = [];
  for (const path of paths) files.push(await openLocalFile(path));
  return await readLabels(files, problems);
}

export async function withStoreAccess<T>(
  env: CommandContext["env"],
  work: (access: StoreAccess) => Promise<T>,
): Promise<T> {
  return await work({ outbound: createOutbound(), clock: systemClock, s3: toS3Settings(env) });
}

/** A router as `train --out` wrote it, with what its release says. */
export async function readRouter(
  folder: string,
  encoding: Encoding,
): Promise<{ readonly router: TrainedRouter; readonly release: JsonObject }> {
  const { release, files } = await readArtifactFolder(folder);
  const name = typeof release["name"] === "string" ? release["name"] : "router";
  const identity = { name, version: 0, sha256: "" };
  const router = await loadRouter(files, { identity, ...encoding, kernels: createKernels });
  return { router, release };
}

/** The calls of what `--events` names; what could not be read is said on standard error. */
export function eventsOf(
  source: string,
  { env, out }: Pick<CommandContext, "env" | "out">,
): AsyncGenerator<CallEvent> {
  const store = { outbound: createOutbound(), clock: systemClock, s3: toS3Settings(env) };
  return readSource(source, { store, onProblem: (message) => out.note(message) });
}
