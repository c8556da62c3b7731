/**
 * One object of Google Cloud Storage, by its JSON API.
 * Source: https://cloud.google.com/storage/docs/json_api/v1/objects/get
 */
import { GatewayError } from "../../domain/errors.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { GetOptions, StoredObject } from "../object-store.ts";

const endpoint = "https://storage.googleapis.com/storage/v1/b";
const limitMs = 20_000;

/** As `ObjectStore.get`, for `gs://bucket/key`. @throws GatewayError storage_failed */
export function createGcsReader(
  outbound: Outbound,
  token: (signal: AbortSignal) => Promise<string>,
) {
  return async (
    url: string,
    { maxBytes, ifNoneMatch }: GetOptions,
  ): Promise<StoredObject | "not-modified" | undefined> => {
    const { bucket, key } = parseGcsUrl(url);
    const signal = AbortSignal.timeout(limitMs);
    try {
      const response = await outbound.fetch({
        url: `${endpoint}/${encodeURIComponent(bucket)}/o/${encodeURIComponent(key)}?alt=media`,
        method: "GET",
        headers: {
          authorization: `Bearer ${await token(signal)}`,
          ...(ifNoneMatch === undefined ? {} : { "if-none-match": ifNoneMatch }),
        },
        signal,
        trust: "operator",
      });
      if (response.status === 304) return "not-modified";
      if (response.status === 404) return undefined;
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      return {
        bytes: await readUpTo(response, maxBytes + 1),
        etag: response.headers.get("etag") ?? "",
      };
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new GatewayError("storage_failed", `cannot read ${url}: ${why}`, { cause });
    }
  };
}

/** @throws GatewayError config_invalid */
export function parseGcsUrl(url: string): { readonly bucket: string; readonly key: string } {
  const [, bucket, key] = /^gs:\/\/([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])\/(.+)$/.exec(url) ?? [];
  if (bucket !== undefined && key !== undefined) return { bucket, key };
  throw new GatewayError("config_invalid", `"${url}" is not of the form gs://bucket/key`);
}

async function readUpTo(response: Response, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    size += part.length;
    if (size >= limit) break;
  }
  return new Uint8Array(Buffer.concat(parts)).subarray(0, limit);
}
