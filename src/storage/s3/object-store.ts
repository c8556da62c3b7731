/**
 * Objects under an S3 prefix: `s3://bucket/prefix`, at AWS or any service that speaks its protocol.
 * Credentials come from the SDK's default chain (environment, profile, container, instance role).
 */

import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import {
  assertKey,
  type GetOptions,
  type ObjectStore,
  type StoredObject,
} from "../object-store.ts";
import type { S3Client } from "./sdk.ts";
import { createTransport } from "./transport.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3StoreOptions {
  /** Missing: the SDK's default chain. */
  readonly credentials?: S3Credentials;
  /** `s3://bucket/prefix`. */
  readonly url: string;
  /** AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; undefined: AWS itself. */
  readonly endpoint?: string;
  readonly region?: string;
  /** Plain http beyond this machine; on loopback it is always taken as written. */
  readonly allowHttp?: boolean;
  readonly outbound: Outbound;
  readonly clock: Clock;
}

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

/** @throws GatewayError config_invalid */
export function parseS3Url(url: string): { readonly bucket: string; readonly prefix: string } {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*?))?\/?$/.exec(url);
  if (!match) {
    throw new GatewayError("config_invalid", `"${url}" is not of the form s3://bucket/prefix`);
  }
  return { bucket: match[1] ?? "", prefix: match[2] ?? "" };
}

function checkEndpoint({ endpoint, allowHttp }: S3StoreOptions): void {
  if (endpoint === undefined || allowHttp) return;
  const url = URL.parse(endpoint);
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url?.hostname ?? "");
  if (!url || (url.protocol !== "https:" && !(url.protocol === "http:" && local))) {
    throw new GatewayError(
      "config_invalid",
      `The S3 endpoint "${endpoint}" is not https. For a store on a network that you trust, allow it with ROUTEIQ_ALLOW_HTTP_STORE=true.`,
    );
  }
}

type Sdk = typeof import("./sdk.ts");
interface Opened {
  readonly sdk: Sdk;
  readonly client: S3Client;
}

async function openClient(options: S3StoreOptions): Promise<Opened> {
  const { endpoint, region, credentials, outbound, clock } = options;
  const sdk = await import("./sdk.ts");
  const client = new sdk.S3Client({
    // A service of one's own has no regions, yet the signature needs a word.
    ...(region || endpoint ? { region: region ?? "us-east-1" } : {}),
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    ...(credentials ? { credentials } : {}),
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 2,
    requestHandler: createTransport(outbound, clock),
  });
  return { sdk, client };
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

function statusOf(error: unknown): number | undefined {
  const metadata = isObject(error) ? error["$metadata"] : undefined;
  const status = isObject(metadata) ? metadata["httpStatusCode"] : undefined;
  return typeof status === "number" ? status : undefined;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

/** The SDK's own words, with what usually mends it. */
function explain(error: unknown): string {
  const name = nameOf(error);
  const said = `${name}${error instanceof Error && error.message ? `: ${error.message}` : ""}`;
  const remedies: readonly (readonly [RegExp, string])[] = [
    [
      /CredentialsProviderError/,
      "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role",
    ],
    [/Region is missing/, "set AWS_REGION"],
    [/NoSuchBucket/, "the bucket does not exist"],
    [
      /AccessDenied|Forbidden/,
      "access denied; reading needs s3:GetObject and s3:ListBucket, publishing s3:PutObject",
    ],
  ];
  const remedy = remedies.find(([pattern]) => pattern.test(said))?.[1];
  return remedy ? `${remedy} (${said})` : said;
}
