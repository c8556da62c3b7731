/**
 * Contents as objects under an S3 prefix: small ones put at once, others in parts as they come, so
 * that no more than a part is held. What a crash leaves of an unfinished upload is nobody's to see; a
 * lifecycle rule (AbortIncompleteMultipartUpload) clears it away.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
 */
import { createHash } from "node:crypto";
import { GatewayError } from "../../domain/errors.ts";
import type { BlobFacts, BlobPutOptions, BlobStore, ByteRange, OpenBlob } from "../blob-store.ts";
import { assertKey } from "../object-store.ts";
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

export const s3BlobLimits = {
  /** S3 takes 5 MiB at least, and 10,000 parts at most: 80 GiB. */
  partBytes: 8 * 1024 * 1024,
  parts: 10_000,
} as const;

/** @throws GatewayError config_invalid */
export function createS3BlobStore(options: S3StoreOptions): BlobStore {
  const { bucket, prefix } = parseS3Url(options.url);
  checkEndpoint(options);
  const url = `s3://${bucket}${prefix ? `/${prefix}` : ""}`;
  let opened: Promise<Opened> | undefined;
  const attempt = async <T>(verb: string, id: string, work: (at: Place) => Promise<T>) => {
    const key = prefix ? `${prefix}/${assertKey(id)}` : assertKey(id);
    try {
      opened ??= openClient(options);
      return await work({ ...(await opened), object: { Bucket: bucket, Key: key } });
    } catch (error) {
      if (!isOfS3(error)) throw error; // the content's own, or one of ours
      const message = `cannot ${verb} ${url}/${id}: ${explain(error)}`;
      throw new GatewayError("storage_failed", message, { cause: error });
    }
  };
  return {
    url,
    put: (id, content, how) => attempt("write", id, (at) => write(at, content, how)),
    open: (id, range) => attempt("read", id, (at) => open(at, range)),
    remove: (id) =>
      attempt("remove", id, async ({ sdk, client, object }) => {
        // S3 says the same whether there was one or not.
        const size = await sizeOf({ sdk, client, object });
        if (size === undefined) return false;
        await client.send(new sdk.DeleteObjectCommand(object));
        return true;
      }),
    close() {
      opened?.then(
        ({ client }) => client.destroy(),
        () => undefined, // it never opened; whoever asked has seen why
      );
    },
  };
}

interface Place extends Opened {
  readonly object: { readonly Bucket: string; readonly Key: string };
}

/** Failures of the service, and of the SDK itself: no credentials, no region. */
const isOfS3 = (error: unknown) =>
  !(error instanceof GatewayError) &&
  (statusOf(error) !== undefined || /Credentials|Region is missing/.test(String(error)));

/** A part that is being filled, its hash with it, so that no hash is made at once. */
interface Part {
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

async function write(
  at: Place,
  content: AsyncIterable<Uint8Array>,
  { maxBytes, signal }: BlobPutOptions,
): Promise<BlobFacts> {
  const whole = createHash("sha256");
  let sizeBytes = 0;
  let upload: MultipartUpload | undefined;
  async function* counted() {
    for await (const piece of content) {
      signal?.throwIfAborted();
      sizeBytes += piece.length;
      if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
      whole.update(piece);
      yield piece;
    }
  }
  try {
    for await (const { part, isLast } of inParts(counted())) {
      if (isLast && !upload) {
        await putWhole(at, part);
        break;
      }
      upload ??= await beginUpload(at);
      await upload.add(part);
    }
    await upload?.complete();
    return { sizeBytes, sha256: whole.digest("hex") };
  } catch (error) {
    // The first failure is the one to tell; what cannot be taken back ends by the lifecycle rule.
    await upload?.abort().catch(() => undefined);
    throw error;
  }
}

/** One at least, though it be empty. */
async function* inParts(pieces: AsyncIterable<Uint8Array>) {
  let held: Uint8Array[] = [];
  let size = 0;
  let hash = createHash("sha256");
  const take = (): Part => {
    const part = { bytes: new Uint8Array(Buffer.concat(held, size)), sha256: hash.digest("hex") };
    held = [];
    size = 0;
    hash = createHash("sha256");
    return part;
  };
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length; ) {
      // Full, and there is more: so this one is not the last.
      if (size === s3BlobLimits.partBytes) yield { part: take(), isLast: false };
      const some = piece.subarray(from, from + s3BlobLimits.partBytes - size);
      held.push(some.slice());
      hash.update(some);
      size += some.length;
      from += some.length;
    }
  }
  yield { part: take(), isLast: true };
}

interface MultipartUpload {
  add(part: Part): Promise<void>;
  complete(): Promise<void>;
  abort(): Promise<void>;
}

async function beginUpload({ sdk, client, object }: Place): Promise<MultipartUpload> {
  const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand(object));
  const of = { ...object, UploadId };
  const parts: { readonly PartNumber: number; readonly ETag: string | undefined }[] = [];
  return {
    async add({ bytes, sha256 }) {
      const PartNumber = parts.length + 1;
      if (PartNumber > s3BlobLimits.parts) {
        throw tooLarge(s3BlobLimits.parts * s3BlobLimits.partBytes);
      }
      const command = new sdk.UploadPartCommand({ ...of, PartNumber, Body: bytes });
      const { ETag } = await client.send(withHash(command, sha256));
      parts.push({ PartNumber, ETag });
    },
    async complete() {
      await client.send(
        new sdk.CompleteMultipartUploadCommand({ ...of, MultipartUpload: { Parts: parts } }),
      );
    },
    async abort() {
      await client.send(new sdk.AbortMultipartUploadCommand(of));
    },
  };
}

async function putWhole({ sdk, client, object }: Place, { bytes, sha256 }: Part): Promise<void> {
  const command = new sdk.PutObjectCommand({ ...object, Body: bytes });
  await client.send(withHash(command, sha256));
}

interface Hashable {
  readonly middlewareStack: {
    add(
      // The SDK's own types tie input and output to the command; a header is all that is added.
      middleware: (next: (args: never) => unknown) => (args: never) => never,
      options: { readonly step: "build"; readonly name: string },
    ): void;
  };
}

/** The signature covers the body by this hash; given, the SDK does not make it again in one go. */
function withHash<T extends object>(command: T, sha256: string): T {
  (command as T & Hashable).middlewareStack.add(
    (next) => (args) => {
      const { request } = args as { request: { headers: Record<string, string> } };
      request.headers["x-amz-content-sha256"] = sha256;
      return next(args) as never;
    },
    { step: "build", name: "routeiqContentHash" },
  );
  return command;
}

async function sizeOf({ sdk, client, object }: Place): Promise<number | undefined> {
  try {
    const { ContentLength } = await client.send(new sdk.HeadObjectCommand(object));
    return ContentLength ?? 0;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

async function open(at: Place, range: ByteRange | undefined): Promise<OpenBlob | undefined> {
  const { sdk, client, object } = at;
  try {
    const answer = await client.send(
      new sdk.GetObjectCommand({ ...object, ...(range ? { Range: toHeader(range) } : {}) }),
    );
    const whole = /\/(\d+)$/.exec(answer.ContentRange ?? "")?.[1];
    const sizeBytes = Number(whole ?? answer.ContentLength ?? 0);
    const body = answer.Body as ReadableStream<Uint8Array> | undefined;
    return { sizeBytes, content: body ?? nothing() };
  } catch (error) {
    const status = statusOf(error);
    if (status === 404 && nameOf(error) !== "NoSuchBucket") return undefined;
    if (status !== 416) throw error;
    // A start past the end: the caller is told the size, and there is nothing to read.
    const sizeBytes = await sizeOf(at);
    return sizeBytes === undefined ? undefined : { sizeBytes, content: nothing() };
  }
}

const toHeader = ({ start, end }: ByteRange) =>
  `bytes=${start}-${end === undefined ? "" : end - 1}`;

async function* nothing(): AsyncGenerator<Uint8Array> {
  // No bytes.
}

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError("body_too_large", `The content is over the limit of ${maxBytes} bytes.`);
}
