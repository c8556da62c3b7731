/** Where artifacts rest: a folder or an S3 prefix, behind one contract. Keys are relative, "/"-separated. */
export interface ObjectStore {
  /** For messages: `s3://bucket/prefix`, `file:///…`. Holds no secret. */
  readonly url: string;
  /**
   * Bytes and ETag, "not-modified" where `ifNoneMatch` still holds, undefined where absent.
   * Reading stops at `maxBytes` + 1. @throws GatewayError storage_failed
   */
  get(key: string, options: GetOptions): Promise<StoredObject | "not-modified" | undefined>;
  /** Writes whole or not at all. `ifAbsent`: false where the key exists already. */
  put(key: string, bytes: Uint8Array, options?: { readonly ifAbsent?: boolean }): Promise<boolean>;
  list(prefix: string): Promise<readonly string[]>;
  close(): void;
}

export interface GetOptions {
  readonly maxBytes: number;
  readonly ifNoneMatch?: string;
  readonly signal?: AbortSignal;
}

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
}
