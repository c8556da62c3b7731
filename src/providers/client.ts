/**
 * The only way to a provider: encode, sign, guarded fetch, map errors. What comes back is either a
 * whole reply, read within a limit and parsed, or a stream that nobody has read from yet.
 */
import type { Dialect } from "../dialects/dialect.ts";
import type { Call } from "../domain/call.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { CallTrace } from "../domain/event.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import type { Outbound } from "../security/outbound.ts";
import { decodeUtf8 } from "../std/json.ts";
import { toTraceparent } from "../telemetry/trace-context.ts";
import { encodeBody } from "./encode.ts";
import { headersFor, type Provider, urlFor } from "./provider.ts";

export interface UpstreamRequest {
  readonly call: Call;
  readonly callerDialect: Dialect;
  readonly deployment: Deployment;
  /** Its reason, a GatewayError, is thrown when it aborts. */
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
  /** Where spans are on: what the upstream continues. */
  readonly trace?: CallTrace | undefined;
}

export type UpstreamReply = WholeReply | StreamReply;

interface Replied {
  readonly dialect: Dialect;
  /** The dialect is the caller's, so the bytes may pass. */
  readonly passes: boolean;
}

export interface WholeReply extends Replied {
  readonly kind: "whole";
  readonly bytes: Uint8Array | ArrayBuffer;
  readonly body: JsonObject;
}

export interface StreamReply extends Replied {
  readonly kind: "stream";
  /** The next bytes; undefined at the end. @throws GatewayError stream_truncated, or the signal's. */
  read(): Promise<Uint8Array | undefined>;
  /** Lets the connection go: back to its pool where the stream is at its end, closed otherwise. */
  close(): void;
}

export interface ProviderClient {
  /** @throws GatewayError; never anything else. */
  send(request: UpstreamRequest): Promise<UpstreamReply>;
}

export const clientLimits = {
  /** A whole reply beyond this is refused as upstream_invalid. */
  replyBytes: 64 * 1024 * 1024,
  /** Of an error answer, no more than this is read. */
  errorBytes: 64 * 1024,
} as const;

export interface ProviderClientOptions {
  readonly outbound: Outbound;
  readonly findProvider: (name: string) => Provider | undefined;
}

/** What is the same for every call to a deployment, made once. */
interface Prepared {
  readonly provider: Provider;
  readonly urls: Readonly<Record<Call["operation"], string | undefined>>;
  readonly headers: Readonly<Record<string, string>>;
}

export function createProviderClient(options: ProviderClientOptions): ProviderClient {
  const { outbound, findProvider } = options;
  const prepared = new WeakMap<Deployment, Prepared>();

  function prepare(deployment: Deployment): Prepared {
    const known = prepared.get(deployment);
    if (known) return known;
    const provider = findProvider(deployment.provider);
    if (!provider) {
      throw new GatewayError(
        "config_invalid",
        `Deployment ${deployment.id} names the provider "${deployment.provider}", which does not exist.`,
      );
    }
    const fresh = {
      provider,
      urls: {
        chat: urlFor(provider, deployment.apiBase, "chat"),
        embedding: urlFor(provider, deployment.apiBase, "embedding"),
      },
      headers: {
        "content-type": "application/json",
        ...headersFor(provider, deployment.apiKey),
        ...deployment.headers,
      },
    };
    prepared.set(deployment, fresh);
    return fresh;
  }

  return {
    async send({ call, callerDialect, deployment, signal, connectTimeoutMs, trace }) {
      const { provider, urls, headers } = prepare(deployment);
      const url = urls[call.operation];
      if (!url) throw noSuchOperation(deployment, call);
      const encoded = encodeBody(call, deployment, provider, callerDialect);
      try {
        const response = await outbound.fetch({
          url,
          method: "POST",
          headers: withTrace(withCallerHeaders(headers, call, provider), call, trace),
          body: encoded.body,
          signal,
          trust: "operator",
          connectTimeoutMs,
        });
        const replied = { dialect: provider.dialect, passes: encoded.passes };
        if (!response.ok) throw await toProviderError(response, replied.dialect);
        return call.stream && isEventStream(response)
          ? toStream(response, replied, signal)
          : await readWhole(response, replied, call);
      } catch (thrown) {
        throw toUpstreamError(thrown, signal, deployment);
      }
    },
  };
}

/** Anthropic's callers choose beta features by header; they reach a provider of that dialect. */
function withCallerHeaders(
  headers: Readonly<Record<string, string>>,
  call: Call,
  provider: Provider,
): Readonly<Record<string, string>> {
  const beta =
    call.dialect === "anthropic" && provider.dialect.name === "anthropic"
      ? call.headers.get("anthropic-beta")
      : null;
  if (beta === null) return headers;
  const configured = headers["anthropic-beta"];
  return { ...headers, "anthropic-beta": configured ? `${configured},${beta}` : beta };
}

/** Our span where spans are on, else the caller's own; a `tracestate` belongs to the caller's trace. */
function withTrace(
  headers: Readonly<Record<string, string>>,
  call: Call,
  trace: CallTrace | undefined,
): Readonly<Record<string, string>> {
  const traceparent = trace ? toTraceparent(trace) : call.traceparent;
  if (traceparent === undefined) return headers;
  const state = call.traceparent === undefined ? null : call.headers.get("tracestate");
  return { ...headers, traceparent, ...(state === null ? {} : { tracestate: state }) };
}

function noSuchOperation(deployment: Deployment, call: Call): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `Model "${call.requestedModel}" is served by ${deployment.provider}, which has no ${call.operation} API here. Ask for a model that does.`,
    { param: "model" },
  );
}

function isEventStream(response: Response): boolean {
  return (response.headers.get("content-type") ?? "").includes("event-stream");
}

function toStream(response: Response, replied: Replied, signal: AbortSignal): StreamReply {
  if (!response.body) {
    throw new GatewayError("upstream_invalid", "The provider answered a stream without a body.");
  }
  const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  return {
    kind: "stream",
    ...replied,
    async read() {
      try {
        const { value, done } = await reader.read();
        return done ? undefined : value;
      } catch (thrown) {
        throw toStreamError(thrown, signal);
      }
    },
    // A stream that broke is closed already; there is nobody left to tell.
    close: () => void reader.cancel().catch(() => undefined),
  };
}

async function toProviderError(response: Response, dialect: Dialect): Promise<GatewayError> {
  const bytes = await readUpTo(response, clientLimits.errorBytes, "cut");
  return dialect.decodeError(response.status, new TextDecoder().decode(bytes), response.headers);
}

async function readWhole(response: Response, replied: Replied, call: Call): Promise<WholeReply> {
  const bytes = await readUpTo(response, clientLimits.replyBytes, "refuse");
  const body = parseReply(bytes);
  const expected = call.operation === "embedding" ? "data" : contentField[replied.dialect.name];
  if (Array.isArray(body[expected])) return { kind: "whole", bytes, body, ...replied };
  // Some providers answer 200 with an error inside.
  if (isObject(body["error"])) {
    throw replied.dialect.decodeError(500, new TextDecoder().decode(bytes), response.headers);
  }
  throw new GatewayError("upstream_invalid", `The provider's answer has no "${expected}" list.`);
}

const contentField = { "openai-chat": "choices", anthropic: "content" } as const;

function parseReply(bytes: Uint8Array | ArrayBuffer): JsonObject {
  try {
    const body: unknown = JSON.parse(decodeUtf8(bytes));
    if (isObject(body)) return body;
  } catch (cause) {
    throw new GatewayError("upstream_invalid", "The provider's answer is not valid JSON.", {
      cause,
    });
  }
  throw new GatewayError("upstream_invalid", "The provider's answer is not a JSON object.");
}

/** The body's bytes within a limit; beyond it the rest is cut off, or the reply refused. */
async function readUpTo(
  response: Response,
  limitBytes: number,
  beyond: "cut" | "refuse",
): Promise<Uint8Array | ArrayBuffer> {
  const declared = Number(response.headers.get("content-length") ?? Number.NaN);
  const plain = response.headers.get("content-encoding") === null;
  if (plain && declared <= limitBytes) return response.arrayBuffer();
  if (!response.body) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length;
    parts.push(part);
    if (length <= limitBytes) continue;
    if (beyond === "cut") break;
    throw new GatewayError(
      "upstream_invalid",
      `The provider's answer is larger than the limit of ${limitBytes} bytes.`,
    );
  }
  return Buffer.concat(parts);
}

/** The signal's own reason where it aborted; a broken connection otherwise. */
function toUpstreamError(thrown: unknown, signal: AbortSignal, to: Deployment): GatewayError {
  if (signal.aborted) return toGatewayError(signal.reason);
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError(
    "upstream_unreachable",
    `The connection to ${to.provider} broke before an answer was complete.`,
    { cause: thrown },
  );
}

/** The same mapping for what breaks while a stream is read. */
function toStreamError(thrown: unknown, signal: AbortSignal): GatewayError {
  if (signal.aborted) return toGatewayError(signal.reason);
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError("stream_truncated", "The provider's stream broke off.", {
    cause: thrown,
  });
}
