/** A file to read rows from: on disk or in a bucket, packed or not, as bytes, lines or pieces. */
import type { BunFile } from "bun";
import { unreadable } from "./problems.ts";

export const fileLimits = {
  /** A line of text. */
  lineUnits: 16 * 1024 * 1024,
  /** A document that is not lines (a Jaeger export, a list of rows), unpacked. */
  documentBytes: 256 * 1024 * 1024,
} as const;

export interface InputFile {
  /** For messages: a path, or `s3://bucket/key`. */
  readonly name: string;
  /** As it lies, packed or not. */
  stream(): ReadableStream<Uint8Array>;
  /** Any part of it, as it lies: Parquet is read from its end. */
  slice(from: number, to?: number): Promise<ArrayBuffer>;
  readonly sizeBytes: number;
}

/** @throws GatewayError invalid_request where there is none */
export async function openLocalFile(path: string): Promise<InputFile> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw unreadable(path, "no such file");
  return fromBlob(path, file);
}

export function fromBytes(name: string, bytes: Uint8Array): InputFile {
  return fromBlob(name, new Blob([bytes as Uint8Array<ArrayBuffer>]));
}

function fromBlob(name: string, blob: Blob | BunFile): InputFile {
  return {
    name,
    stream: () => blob.stream() as ReadableStream<Uint8Array>,
    slice: (from, to) => blob.slice(from, to ?? blob.size).arrayBuffer(),
    sizeBytes: blob.size,
  };
}

/** The name without what says that it is packed: `a.jsonl.gz` → `a.jsonl`. */
export function withoutPacking(name: string): string {
  return name.replace(/\.(gz|gzip|zst|zstd)$/i, "");
}

/** Unpacked by suffix: gzip and Zstandard. */
export function unpacked(file: InputFile): ReadableStream<Uint8Array> {
  const raw = file.stream() as ReadableStream<BufferSource>;
  const suffix = /\.(gz|gzip|zst|zstd)$/i.exec(file.name)?.[1]?.toLowerCase();
  if (suffix === undefined) return raw as ReadableStream<Uint8Array>;
  const format = suffix.startsWith("gz") ? "gzip" : ("zstd" as "gzip"); // Bun knows it, the types not yet
  return raw.pipeThrough(new DecompressionStream(format)) as ReadableStream<Uint8Array>;
}

/**
 * Text in the pieces that it comes in. Bytes that are no UTF-8 become U+FFFD, so that they spoil a
 * row and not the file. @throws GatewayError invalid_request where the file breaks off
 */
export async function* readText(file: InputFile): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pieces = 0;
  try {
    for await (const chunk of unpacked(file)) {
      pieces++;
      yield decoder.decode(chunk, { stream: true });
    }
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw unreadable(file.name, `cannot be read${pieces > 0 ? " to its end" : ""}: ${what}`, cause);
  }
  yield decoder.decode();
}

export interface Line {
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

/**
 * Lines of a text. Cost: the search for line ends is native; a line that straddles pieces is joined
 * once. @throws GatewayError invalid_request for a line over the limit
 */
export async function* readLines(
  file: InputFile,
  limitUnits: number = fileLimits.lineUnits,
): AsyncGenerator<Line> {
  let rest: string[] = [];
  let held = 0;
  let line = 0;
  for await (const piece of readText(file)) {
    let from = 0;
    for (let at = piece.indexOf("\n"); at >= 0; at = piece.indexOf("\n", from)) {
      const tail = piece.slice(from, at);
      yield { text: rest.length > 0 ? rest.join("") + tail : tail, line: ++line };
      rest = [];
      held = 0;
      from = at + 1;
    }
    if (from < piece.length) {
      rest.push(piece.slice(from));
      held += piece.length - from;
    }
    if (held > limitUnits) {
      throw unreadable(
        `${file.name}:${line + 1}`,
        `a line is over ${limitUnits >> 20} Mi characters`,
      );
    }
  }
  if (held > 0) yield { text: rest.join(""), line: line + 1 };
}

/** The whole text of a document. @throws GatewayError invalid_request over the limit */
export async function readDocument(file: InputFile): Promise<string> {
  const pieces: string[] = [];
  let units = 0;
  for await (const piece of readText(file)) {
    pieces.push(piece);
    units += piece.length;
    if (units > fileLimits.documentBytes) {
      throw unreadable(
        file.name,
        `over ${fileLimits.documentBytes >> 20} Mi characters in one document; split it, or give one JSON object a line`,
      );
    }
  }
  return pieces.join("");
}
