/** Where artifacts rest: a folder or an S3 prefix, behind one contract. Keys are relative, "/"-separated. */
import { GatewayError } from "../domain/errors.ts";

export interface ObjectStore {
  /** For messages: `s3://bucket/prefix`, `file:///…`. Holds no secret. */
  readonly url: string;
  /**
   * Bytes and ETag, "not-modified" where `ifNoneMatch` still holds, undefined where absent.
   * Reading stops at `maxBytes` + 1. @throws GatewayError storage_failed
   */
  get(key: string, options: GetOptions): Promise<StoredObject | "not-modified" | undefined>;
  /** Writes whole or not at all. False where a condition of the options does not hold. */
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean>;
  /** Keys that begin with the prefix, sorted; temporary files are not among them. */
  list(prefix: string): Promise<readonly string[]>;
  close(): void;
}

export interface GetOptions {
  readonly maxBytes: number;
  readonly ifNoneMatch?: string;
  readonly signal?: AbortSignal;
}

export interface PutOptions {
  /** Only where the key does not exist. */
  readonly ifAbsent?: boolean;
  /** Only where the object still has this ETag. */
  readonly ifMatch?: string;
}

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
}

/** A key as every store takes it: plain words joined by "/", so that none can leave its store. */
export function assertKey(key: string): string {
  const plain = /^[A-Za-z0-9_][A-Za-z0-9_.=-]*(\/[A-Za-z0-9_][A-Za-z0-9_.=-]*)*$/.test(key);
  if (!plain || key.length > 512) {
    throw new GatewayError(
      "storage_failed",
      `${JSON.stringify(key.slice(0, 200))} is no object key`,
    );
  }
  return key;
}
