/** A vector database's REST API: requests with limits of time, size and attempts, and its refusals in words. */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import type { Passage } from "../vectors.ts";

export interface RestOptions {
  /** For messages: "Qdrant". */
  readonly product: string;
  /** With no "/" at its end; the operator's. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly outbound: Outbound;
  readonly clock: Clock;
}

export interface RestCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE" | "PATCH";
  readonly path: string;
  readonly body?: Json;
  /** Statuses beside 2xx that are an answer, not a failure. */
  readonly expects?: readonly number[];
}

export interface RestReply {
  readonly status: number;
  /** Undefined where the body is empty or no JSON. */
  readonly body: unknown;
}

export type Ask = (call: RestCall) => Promise<RestReply>;

export const restLimits = {
  requestMs: 30_000,
  attempts: 3,
  firstDelayMs: 200,
  replyBytes: 64 * 1024 * 1024,
  /** Of one request that writes, about; databases refuse larger ones (Pinecone: 2 MB). */
  writeBytes: 1_500_000,
} as const;

/** Every request is one that may be repeated. @throws GatewayError storage_failed */
export function createRest(options: RestOptions): Ask {
  const { product, url, headers, outbound, clock } = options;

  async function once({ method, path, body, expects = [] }: RestCall): Promise<RestReply> {
    const response = await outbound.fetch({
      url: `${url}${path}`,
      method,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(restLimits.requestMs),
      trust: "operator",
    });
    const text = await readText(response);
    const read = parse(text);
    if (response.ok || expects.includes(response.status)) {
      return { status: response.status, body: read };
    }
    throw new Refused(response.status, said(read, text));
  }

  return async (call) => {
    for (let tried = 1; ; tried++) {
      try {
        return await once(call);
      } catch (cause) {
        if (tried < restLimits.attempts && mayHelp(cause)) {
          await sleep(clock, restLimits.firstDelayMs * 4 ** (tried - 1));
          continue;
        }
        if (cause instanceof GatewayError && cause.code === "address_refused") throw cause;
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new GatewayError("storage_failed", `${product} failed: ${excerpt(why)}`, { cause });
      }
    }
  };
}

/** The database's own no. */
class Refused extends Error {
  readonly status: number;
  constructor(status: number, why: string) {
    super(`it answered ${status}${why === "" ? "" : `: ${why}`}`);
    this.status = status;
  }
}

function mayHelp(cause: unknown): boolean {
  if (cause instanceof Refused) return cause.status === 429 || cause.status >= 500;
  return cause instanceof GatewayError && cause.code.startsWith("upstream_");
}

async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    size += part.length;
    if (size > restLimits.replyBytes) throw new Error("its answer is too large");
  }
  return Buffer.concat(parts).toString("utf8");
}

function parse(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined; // a proxy's page: its status tells
  }
}

/** Wherever these products put their message. */
function said(body: unknown, text: string): string {
  if (!isObject(body)) return excerpt(text);
  const { status, message, error } = body;
  if (typeof message === "string") return excerpt(message);
  if (isObject(status) && typeof status["error"] === "string") return excerpt(status["error"]);
  if (Array.isArray(error) && isObject(error[0])) return excerpt(String(error[0]["message"] ?? ""));
  return excerpt(text);
}

/** Digits of a number of 32 bits in JSON, its comma too. */
const numberChars = 12;

/** Passages in requests that are no larger than they may be; each has one at least. */
export function* inRequests(
  passages: readonly Passage[],
): Generator<readonly (Passage & { readonly number: number })[]> {
  let batch: (Passage & { readonly number: number })[] = [];
  let bytes = 0;
  for (const [number, passage] of passages.entries()) {
    const more = passage.vector.length * numberChars + passage.text.length * 2;
    if (batch.length > 0 && bytes + more > restLimits.writeBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push({ ...passage, number });
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

/** What a key of an object is, where it is an object at all. */
export const at = (value: unknown, key: string): unknown =>
  isObject(value) ? value[key] : undefined;

export const listAt = (value: unknown, key: string): readonly unknown[] => {
  const list = at(value, key);
  return Array.isArray(list) ? list : [];
};
