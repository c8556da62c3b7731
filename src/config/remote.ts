/**
 * Configuration out of a bucket. What was read is kept in memory with its ETag, so that a look costs
 * nothing where nothing changed; and what was taken into service is kept on disk, so that a gateway
 * starts while the bucket cannot be reached.
 */
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import { sha256Hex } from "../security/hashing.ts";
import { decodeUtf8 } from "../std/json.ts";
import type { StoredObject } from "../storage/object-store.ts";
import { configLimitBytes } from "./yaml.ts";

/** The object at an address; "not-modified" while the ETag holds; undefined where there is none. */
export type ReadObject = (
  url: string,
  options: { readonly maxBytes: number; readonly ifNoneMatch?: string },
) => Promise<StoredObject | "not-modified" | undefined>;

/** Copies by name; `read` answers undefined where there is none. */
export interface CopyStore {
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
}

export interface RemoteStatus {
  readonly url: string;
  readonly etag?: string;
  /** The bucket cannot be reached, and a copy serves. */
  readonly error?: string;
}

export interface RemoteTexts {
  /** As `ReadText`: undefined where the object does not exist. @throws GatewayError */
  read(url: string): Promise<string | undefined>;
  /** Whether something that was read has changed since. A bucket that cannot be reached has not. */
  look(): Promise<boolean>;
  /** What was read is in service: a copy of it is kept. */
  keep(): Promise<void>;
  status(): readonly RemoteStatus[];
  /** How often what came was new. */
  readonly news: number;
}

interface Held {
  readonly text: string;
  readonly etag: string;
  error?: string;
}

export const isRemote = (path: string): boolean => /^(s3|gs):\/\//.test(path);

export function createRemoteTexts(read: ReadObject, copies?: CopyStore): RemoteTexts {
  const held = new Map<string, Held>();
  let news = 0;

  async function fetchText(url: string): Promise<Held | undefined> {
    const known = held.get(url);
    const found = await read(url, {
      maxBytes: configLimitBytes,
      ...(known && known.etag !== "" ? { ifNoneMatch: known.etag } : {}),
    });
    if (found === undefined) return undefined;
    if (found === "not-modified" && known) return { text: known.text, etag: known.etag };
    if (found === "not-modified") throw new GatewayError("storage_failed", `${url}: no answer`);
    if (found.bytes.byteLength > configLimitBytes) {
      throw new GatewayError("config_invalid", `${url} is larger than ${configLimitBytes} bytes.`);
    }
    return { text: toText(url, found.bytes), etag: found.etag };
  }

  return {
    async read(url) {
      try {
        const fresh = await fetchText(url);
        if (fresh && fresh.text !== held.get(url)?.text) news++;
        if (fresh) held.set(url, fresh);
        else held.delete(url);
        return fresh?.text;
      } catch (thrown) {
        const { code, message } = toGatewayError(thrown);
        if (code === "config_invalid") throw thrown;
        const text = held.get(url)?.text ?? (await copies?.read(nameOf(url)));
        if (text === undefined) throw thrown;
        held.set(url, { text, etag: held.get(url)?.etag ?? "", error: message });
        return text;
      }
    },
    async look() {
      let changed = false;
      for (const [url, known] of held) {
        try {
          const fresh = await fetchText(url);
          const { error: _, ...well } = known;
          held.set(url, well);
          // What is gone is no change: the last good one serves on.
          if (fresh && fresh.text !== known.text) changed = true;
          if (!fresh) held.set(url, { ...well, error: `${url} does not exist any more` });
        } catch (thrown) {
          held.set(url, { ...known, error: toGatewayError(thrown).message });
        }
      }
      return changed;
    },
    get news() {
      return news;
    },
    async keep() {
      for (const [url, { text }] of held) await copies?.write(nameOf(url), text);
    },
    status: () =>
      [...held].map(([url, { etag, error }]) => ({
        url,
        ...(etag === "" ? {} : { etag: etag.replaceAll('"', "") }),
        ...(error === undefined ? {} : { error }),
      })),
  };
}

const nameOf = (url: string) => `${sha256Hex(url).slice(0, 32)}.yaml`;

function toText(url: string, bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch (cause) {
    throw new GatewayError("config_invalid", `${url} cannot be read: it is not UTF-8 text.`, {
      cause,
    });
  }
}
