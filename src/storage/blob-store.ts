/** Where contents of any size rest: uploaded files, batches' results. Streamed in and out, never held whole. */

export interface BlobStore {
  /** For messages: `file:///…`, `s3://bucket/prefix`. Holds no secret. */
  readonly url: string;
  /**
   * Writes whole or not at all, also through a crash. What stood there is replaced.
   * @throws GatewayError body_too_large past `maxBytes`, storage_failed; what the content itself throws
   */
  put(id: string, content: AsyncIterable<Uint8Array>, options: BlobPutOptions): Promise<BlobFacts>;
  /** Undefined where there is none. @throws GatewayError storage_failed, here or while it is read */
  open(id: string, range?: ByteRange): Promise<OpenBlob | undefined>;
  /** Says whether there was one. */
  remove(id: string): Promise<boolean>;
  close(): void;
}

export interface BlobPutOptions {
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface BlobFacts {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** From `start`, up to and without `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

export interface OpenBlob {
  /** Of the whole, whatever the range. */
  readonly sizeBytes: number;
  /** To be read once; leaving it early lets go of the file. */
  readonly content: AsyncIterable<Uint8Array>;
}

export const blobPartBytes = 256 * 1024;
