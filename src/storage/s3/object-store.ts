/**
 * Objects under an S3 prefix: `s3://bucket/prefix`, at AWS or any service that speaks its protocol.
 * Credentials come from the SDK's default chain (environment, profile, container, instance role).
 */

import { GatewayError } from "../../domain/errors.ts";
import {
  assertKey,
  type GetOptions,
  type ObjectStore,
  type StoredObject,
} from "../object-store.ts";
import {
  checkEndpoint,
  explain,
  nameOf,
  type Opened,
  openClient,
  parseS3Url,
  type S3StoreOptions,
  statusOf,
} from "./client.ts";

const maxListed = 100_000;

export function createS3ObjectStore(options: S3StoreOptions): ObjectStore {
  const { bucket, prefix } = parseS3Url(options.url);
  checkEndpoint(options);
  const url = `s3://${bucket}${prefix ? `/${prefix}` : ""}`;
  const full = (key: string) => (prefix ? `${prefix}/${key}` : key);
  // The SDK costs 5 MB and some 20 ms: only who uses S3 pays.
  let opened: Promise<Opened> | undefined;
  const open = () => {
    opened ??= openClient(options);
    return opened;
  };
  const attempt = async <T>(verb: string, key: string, work: (s3: Opened) => Promise<T>) => {
    try {
      return await work(await open());
    } catch (error) {
      if (error instanceof GatewayError) throw error;
      throw new GatewayError("storage_failed", `cannot ${verb} ${url}/${key}: ${explain(error)}`, {
        cause: error,
      });
    }
  };
  return {
    url,
    async get(key, getOptions) {
      assertKey(key);
      return await attempt("read", key, (s3) => get(s3, bucket, full(key), getOptions));
    },
    async put(key, bytes, { ifAbsent, ifMatch } = {}) {
      assertKey(key);
      return await attempt("write", key, async (s3) => {
        const Key = full(key);
        // Not every service knows conditional writes: look first, then ask for it as well.
        if (ifAbsent || ifMatch !== undefined) {
          const etag = await findEtag(s3, bucket, Key);
          if (ifAbsent && etag !== undefined) return false;
          if (ifMatch !== undefined && etag !== ifMatch) return false;
        }
        return await put(s3, { Bucket: bucket, Key, Body: bytes }, { ifAbsent, ifMatch });
      });
    },
    async list(start) {
      return await attempt("list", start, (s3) => list(s3, bucket, prefix, start));
    },
    close() {
      opened?.then(
        ({ client }) => client.destroy(),
        () => undefined, // it never opened; whoever asked has seen why
      );
    },
  };
}

async function get(
  { sdk, client }: Opened,
  bucket: string,
  key: string,
  { maxBytes, ifNoneMatch, signal }: GetOptions,
): Promise<StoredObject | "not-modified" | undefined> {
  try {
    const answer = await client.send(
      new sdk.GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch }),
      }),
      signal ? { abortSignal: signal } : {},
    );
    const body: unknown = answer.Body;
    const bytes = await readUpTo(body as ReadableStream<Uint8Array> | undefined, maxBytes + 1);
    return { bytes, etag: answer.ETag ?? "" };
  } catch (error) {
    const status = statusOf(error);
    // The SDK throws a 304 as an error that is called "Unknown".
    if (status === 304) return "not-modified";
    if (status === 404 && nameOf(error) !== "NoSuchBucket") return undefined;
    throw error;
  }
}

async function readUpTo(
  body: ReadableStream<Uint8Array> | undefined,
  limit: number,
): Promise<Uint8Array> {
  if (!body) return new Uint8Array();
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < limit) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
  }
  if (size >= limit) await reader.cancel();
  return new Uint8Array(Buffer.concat(chunks, size)).subarray(0, limit);
}

async function findEtag(
  { sdk, client }: Opened,
  bucket: string,
  key: string,
): Promise<string | undefined> {
  try {
    const head = await client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }));
    return head.ETag ?? "";
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

async function put(
  { sdk, client }: Opened,
  object: { readonly Bucket: string; readonly Key: string; readonly Body: Uint8Array },
  conditions: { readonly ifAbsent: boolean | undefined; readonly ifMatch: string | undefined },
): Promise<boolean> {
  const headers = {
    ...(conditions.ifAbsent ? { IfNoneMatch: "*" } : {}),
    ...(conditions.ifMatch === undefined ? {} : { IfMatch: conditions.ifMatch }),
  };
  try {
    await client.send(new sdk.PutObjectCommand({ ...object, ...headers }));
    return true;
  } catch (error) {
    const status = statusOf(error);
    if (status === 412 || status === 409) return false;
    // A service that does not know the condition: what was looked up before must do.
    if (status !== 501 || Object.keys(headers).length === 0) throw error;
    await client.send(new sdk.PutObjectCommand(object));
    return true;
  }
}

async function list(
  { sdk, client }: Opened,
  bucket: string,
  prefix: string,
  start: string,
): Promise<readonly string[]> {
  const base = prefix ? `${prefix}/` : "";
  const keys: string[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(
      new sdk.ListObjectsV2Command({
        Bucket: bucket,
        Prefix: base + start,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }),
    );
    for (const { Key } of page.Contents ?? []) if (Key) keys.push(Key.slice(base.length));
    if (keys.length > maxListed) throw new Error(`more than ${maxListed} objects`);
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
  return keys.sort();
}
