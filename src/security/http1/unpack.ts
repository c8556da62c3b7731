/**
 * Bodies that come compressed although identity was asked for: unpacked as they are read, never
 * past the reader's limit. Source: RFC 9110 §8.4.
 */
import type { Transform } from "node:stream";
import { BodyTooLarge, type Explain, type OutboundReply, type Piece } from "../reply.ts";

/** As its codings say; the reply itself where one of them is not known, as `fetch` hands it on too. */
export function unpack(packed: OutboundReply): OutboundReply {
  const named = (packed.header("content-encoding") ?? "").toLowerCase().split(",");
  const codings = named.map((coding) => coding.trim()).filter((coding) => coding !== "identity");
  if (!codings.every((coding) => known.has(coding))) return packed;
  const body = unpackBody(packed, codings.reverse());
  return {
    status: packed.status,
    header: (name) => packed.header(name),
    headers: () => packed.headers(),
    read: body.read,
    close: body.close,
    async whole(limitBytes, beyond) {
      const parts: Uint8Array[] = [];
      let length = 0;
      while (length <= limitBytes) {
        const part = await body.read();
        if (!part) return Buffer.concat(parts);
        parts.push(part);
        length += part.length;
      }
      body.close();
      if (beyond === "refuse") throw new BodyTooLarge(limitBytes);
      return Buffer.concat(parts).subarray(0, limitBytes);
    },
  };
}

const known: ReadonlySet<string> = new Set(["gzip", "x-gzip", "deflate", "br", "zstd"]);

function unpackBody(packed: OutboundReply, codings: readonly string[]) {
  let iterator: AsyncIterator<Uint8Array> | undefined;
  const open = () => {
    let chunks = readAll(packed);
    for (const coding of codings) chunks = unpackChunks(chunks, coding);
    return chunks[Symbol.asyncIterator]();
  };
  return {
    async read(explain?: Explain): Promise<Piece> {
      iterator ??= open();
      try {
        const { value, done } = await iterator.next();
        return done ? undefined : value;
      } catch (thrown) {
        throw explain ? explain(thrown) : thrown;
      }
    },
    close(): void {
      packed.close();
      iterator?.return?.().catch(() => undefined); // what it was in the middle of is let go
    },
  };
}

async function* readAll(packed: OutboundReply): AsyncGenerator<Uint8Array> {
  for (;;) {
    const bytes = await packed.read();
    if (!bytes) return;
    yield bytes;
  }
}

/** Every piece is given out as far as it can be, so that events are not held back. */
async function* unpackChunks(
  chunks: AsyncIterable<Uint8Array>,
  coding: string,
): AsyncGenerator<Uint8Array> {
  const { Readable } = await import("node:stream");
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) return;
  const unpacker = await createUnpacker(coding, first.value);
  const source = Readable.from(prepend(first.value, iterator), { objectMode: false });
  source.on("error", (error) => unpacker.destroy(error));
  try {
    yield* source.pipe(unpacker) as AsyncIterable<Uint8Array>;
  } finally {
    source.destroy();
    unpacker.destroy();
  }
}

async function* prepend(first: Uint8Array, rest: AsyncIterator<Uint8Array>) {
  yield first;
  for (;;) {
    const { value, done } = await rest.next();
    if (done) return;
    yield value;
  }
}

async function createUnpacker(coding: string, first: Uint8Array): Promise<Transform> {
  const zlib = await import("node:zlib");
  if (coding === "br") {
    return zlib.createBrotliDecompress({ flush: zlib.constants.BROTLI_OPERATION_FLUSH });
  }
  if (coding === "zstd") return zlib.createZstdDecompress();
  const flush = { flush: zlib.constants.Z_SYNC_FLUSH };
  if (coding !== "deflate") return zlib.createGunzip(flush);
  // Some servers send the bare format under this name; a zlib header has this in its low bits.
  return (first[0] ?? 0) % 16 === 8 ? zlib.createInflate(flush) : zlib.createInflateRaw(flush);
}
