/**
 * The S3 client's way out: through the guarded fetch, with a limit on every wait.
 * Implements the HttpHandler of @smithy/types.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";

export const s3Timeouts = {
  connectMs: 3_000,
  firstByteMs: 5_000,
  idleMs: 10_000,
  /** A slow line still uploads: this much time more per byte sent. */
  uploadMsPerByte: 0.02,
} as const;

/** What the client hands over, as far as it is read here. */
export interface SignedRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface HandlerAnswer {
  readonly response: {
    readonly statusCode: number;
    readonly headers: Record<string, string>;
    readonly body: ReadableStream<Uint8Array> | undefined;
  };
}

export function createTransport(outbound: Outbound, clock: Clock) {
  return {
    metadata: { handlerProtocol: "http/1.1" },
    async handle(
      request: SignedRequest,
      options: { readonly abortSignal?: unknown } = {},
    ): Promise<HandlerAnswer> {
      const body = toBody(request.body);
      const watch = watchTime(clock, options.abortSignal);
      const upload = (body?.length ?? 0) * s3Timeouts.uploadMsPerByte;
      watch.limit(s3Timeouts.connectMs + s3Timeouts.firstByteMs + upload, "no answer began");
      try {
        const answer = await outbound.fetch({
          url: toUrl(request),
          method: request.method,
          headers: withoutHost(request.headers),
          ...(body && request.method !== "GET" && request.method !== "HEAD" ? { body } : {}),
          signal: watch.signal,
          trust: "operator",
          connectTimeoutMs: s3Timeouts.connectMs,
        });
        return {
          response: {
            statusCode: answer.status,
            headers: Object.fromEntries(answer.headers),
            body: answer.body ? watchBody(answer.body, watch) : watch.end(),
          },
        };
      } catch (error) {
        watch.end();
        throw watch.signal.aborted ? watch.signal.reason : error;
      }
    },
    destroy: () => undefined,
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  };
}

interface TimeWatch {
  readonly signal: AbortSignal;
  limit(ms: number, what: string): void;
  end(): undefined;
}

function watchTime(clock: Clock, callerSignal: unknown): TimeWatch {
  const controller = new AbortController();
  let cancel: () => void = () => undefined;
  const caller = callerSignal instanceof AbortSignal ? callerSignal : undefined;
  const onAbort = () => controller.abort(caller?.reason);
  if (caller?.aborted) onAbort();
  caller?.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    limit(ms, what) {
      cancel();
      cancel = clock.after(ms, () => {
        controller.abort(new GatewayError("storage_failed", `S3: ${what} within ${ms} ms`));
      });
    },
    end() {
      cancel();
      caller?.removeEventListener("abort", onAbort);
    },
  };
}

/** The same bytes; between two chunks at most `idleMs`. */
function watchBody(body: ReadableStream<Uint8Array>, watch: TimeWatch): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      watch.limit(s3Timeouts.idleMs, "no more bytes came");
      const aborted = new Promise<never>((_, reject) => {
        watch.signal.addEventListener("abort", () => reject(watch.signal.reason), { once: true });
      });
      try {
        const { done, value } = await Promise.race([reader.read(), aborted]);
        if (done) {
          watch.end();
          controller.close();
        } else {
          controller.enqueue(value);
        }
      } catch (error) {
        watch.end();
        await reader.cancel(error).catch(() => undefined); // the first error is the one to report
        controller.error(error);
      }
    },
    async cancel(reason) {
      watch.end();
      await reader.cancel(reason);
    },
  });
}

function toUrl(request: SignedRequest): string {
  const port = request.port === undefined ? "" : `:${request.port}`;
  const pairs = Object.entries(request.query ?? {}).flatMap(([key, value]) => {
    const name = encode(key);
    if (value === null) return [name];
    const values = typeof value === "string" ? [value] : value;
    return values.map((one) => `${name}=${encode(one)}`);
  });
  const query = pairs.length > 0 ? `?${pairs.join("&")}` : "";
  return `${request.protocol}//${request.hostname}${port}${request.path}${query}`;
}

/** As the signature was computed: RFC 3986's unreserved characters stay, all else is escaped. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function withoutHost(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^(host|content-length)$/i.test(name)),
  );
}

function toBody(body: unknown): Uint8Array | undefined {
  if (body instanceof Uint8Array) return body;
  if (typeof body === "string") return new TextEncoder().encode(body);
  return undefined;
}
