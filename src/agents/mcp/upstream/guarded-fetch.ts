/**
 * The SDK's `fetch` over our guarded way out: addresses are checked, redirects handed back, and what
 * a server sends is bounded in size and in time.
 */

import type { Outbound, Trust } from "../../../security/outbound.ts";
import type { Clock } from "../../../std/clock.ts";
import type { FetchLike } from "../sdk.ts";

export interface GuardedFetchOptions {
  readonly outbound: Outbound;
  readonly trust: Trust;
  readonly clock: Clock;
  /** Credentials among them: they go to the server's own origin alone. */
  readonly headers: Readonly<Record<string, string>>;
  /** The server's. What its metadata points to elsewhere gets the strict rule. */
  readonly origin: string;
  readonly connectTimeoutMs: number;
  /** Of a JSON body, and of one event of a stream. */
  readonly maxBytes: number;
  /** Of the answer to one POST, from its request to its end. */
  readonly maxMs: number;
  /** Told once a server broke a limit: whoever waits for it must not wait on. */
  readonly onBreach: (why: string) => void;
}

export function createGuardedFetch(options: GuardedFetchOptions): FetchLike {
  return async (input, init = {}) => {
    const method = init.method ?? "GET";
    const limit = new AbortController();
    const { outbound, connectTimeoutMs, clock } = options;
    const isOwn = new URL(String(input)).origin === options.origin;
    const stop = method === "POST" ? clock.after(options.maxMs, () => limit.abort()) : undefined;
    const signal = init.signal ? AbortSignal.any([init.signal, limit.signal]) : limit.signal;
    try {
      const response = await outbound.fetch({
        url: String(input),
        method,
        headers: { ...headersOf(init.headers), ...(isOwn ? options.headers : {}) },
        ...(init.body === undefined || init.body === null ? {} : { body: toText(init.body) }),
        signal,
        trust: isOwn ? options.trust : "strict",
        connectTimeoutMs,
      });
      const body = response.body?.pipeThrough(new SizeGuard(response, options, stop));
      if (!body) stop?.();
      // A new one, as the address of the pinned connection is nobody's business.
      return new Response(body ?? null, { status: response.status, headers: response.headers });
    } catch (thrown) {
      stop?.();
      throw thrown;
    }
  };
}

/** Counts what passes: all of a JSON body, or what came since the last blank line of a stream. */
class SizeGuard extends TransformStream<Uint8Array, Uint8Array> {
  constructor(response: Response, { maxBytes, onBreach }: GuardedFetchOptions, stop?: () => void) {
    const streams = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    let size = 0;
    let last = 0;
    super({
      transform(piece, controller) {
        if (streams) [size, last] = sizeSinceBlank(piece, size, last);
        else size += piece.length;
        if (size > maxBytes) {
          const why = `it sent a message over ${maxBytes} bytes (routeiq_settings.mcp.max_result_bytes)`;
          stop?.();
          controller.error(new Error(why));
          onBreach(why);
          return;
        }
        controller.enqueue(piece);
      },
      flush: () => stop?.(),
    });
  }
}

const lineFeed = 10;
const carriageReturn = 13;

function sizeSinceBlank(piece: Uint8Array, before: number, lastByte: number): [number, number] {
  let size = before;
  let last = lastByte;
  for (const byte of piece) {
    if (byte === carriageReturn) continue;
    size = byte === lineFeed && last === lineFeed ? 0 : size + 1;
    last = byte;
  }
  return [size, last];
}

function toText(body: BodyInit): string {
  if (typeof body === "string") return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError("the protocol's bodies are texts");
}

function headersOf(headers: RequestInit["headers"]): Record<string, string> {
  return Object.fromEntries(new Headers(headers ?? {}).entries());
}
