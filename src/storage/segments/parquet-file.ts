/** Parquet files as records, a part of a row group at a time. The reader is loaded when one is met. */
import { brotliDecompressSync } from "node:zlib";
import type { AsyncBuffer, Compressors, FileMetaData } from "hyparquet";
import { GatewayError } from "../../domain/errors.ts";

/** Rows that are taken at once: of prompts, some megabytes. */
const rowsAtOnce = 2_000;

/** Where the bytes are: any part of them can be asked for. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: number;
  slice(from: number, to?: number): Promise<ArrayBuffer>;
}

export interface ParquetFile {
  readonly columns: readonly string[];
  readonly rows: number;
  /** Columns of numbers, by the schema. */
  readonly numeric: ReadonlySet<string>;
  /** @param columns those to read; the others cost nothing */
  records(
    columns?: readonly string[],
  ): AsyncGenerator<{ readonly value: Readonly<Record<string, unknown>>; readonly row: number }>;
}

/** @throws GatewayError invalid_request where it is no Parquet file, or a codec is unknown */
export async function openParquet(file: ByteSource): Promise<ParquetFile> {
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import(
    "./parquet-library.ts"
  );
  const buffer: AsyncBuffer = {
    byteLength: file.sizeBytes,
    slice: (from, to) => file.slice(from, to),
  };
  const metadata = await parquetMetadataAsync(buffer).catch((cause: unknown) => {
    throw unreadable(file.name, `not a Parquet file: ${message(cause)}`, cause);
  });
  const children = parquetSchema(metadata).children;
  return {
    columns: children.map(({ element }) => element.name),
    rows: Number(metadata.num_rows),
    numeric: new Set(
      children
        .filter(({ element }) => /^(INT|FLOAT|DOUBLE|BOOLEAN)/.test(String(element.type)))
        .map(({ element }) => element.name),
    ),
    async *records(columns) {
      for (const { rowStart, rowEnd } of parts(metadata)) {
        // Texts are marked as such by the schema; what is not, stays bytes.
        const read = { file: buffer, metadata, compressors, rowStart, rowEnd, utf8: false };
        const wanted = columns ? { columns: [...new Set(columns)] } : {};
        const records = await parquetReadObjects({ ...read, ...wanted }).catch((cause: unknown) => {
          throw unreadable(file.name, `rows ${rowStart} to ${rowEnd}: ${message(cause)}`, cause);
        });
        let row = rowStart;
        for (const value of records) yield { value: value as Record<string, unknown>, row: ++row };
      }
    },
  };
}

/** Row groups, cut where they are large. */
function* parts({ row_groups: groups }: FileMetaData) {
  let at = 0;
  for (const group of groups) {
    const end = at + Number(group.num_rows);
    for (; at < end; at = Math.min(end, at + rowsAtOnce)) {
      yield { rowStart: at, rowEnd: Math.min(end, at + rowsAtOnce) };
    }
  }
}

/** Snappy is hyparquet's own; these are the runtime's. */
const compressors: Compressors = {
  GZIP: (input) => new Uint8Array(Bun.gunzipSync(input as Uint8Array<ArrayBuffer>)),
  ZSTD: (input) => new Uint8Array(Bun.zstdDecompressSync(input as Uint8Array<ArrayBuffer>)),
  BROTLI: (input) => new Uint8Array(brotliDecompressSync(input)),
};

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function unreadable(name: string, text: string, cause: unknown): GatewayError {
  return new GatewayError("invalid_request", `${name}: ${text}`, { cause });
}
