/** Ways through to providers' own APIs: any method, any body, any answer. */
import { GatewayError } from "../domain/errors.ts";
import {
  CallFailed,
  type PassArrival,
  type PassReply,
  passThrough,
} from "../pipeline/pass-through.ts";
import type { Services } from "../pipeline/services.ts";
import type { PassThroughMatch } from "../providers/pass-through.ts";
import { toErrorResponse } from "./errors.ts";
import { readRequestId } from "./exchange.ts";
import { callHeaders } from "./headers.ts";
import { readAny, readPieces, tooLarge } from "./read-body.ts";
import { toReadable } from "./reply-body.ts";
import { assertFromHere } from "./route.ts";

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);

/** A body of known length up to this is read first: then its length can be said, and a proxy is content. */
const wholeLimitBytes = 1024 * 1024;

export async function answerPassThrough(
  request: Request,
  match: PassThroughMatch,
  services: Services,
): Promise<Response> {
  const arrival = toArrival(request, services);
  try {
    const reply = await passThrough(arrival, match, services);
    return toResponse(reply, services);
  } catch (thrown) {
    if (!(thrown instanceof CallFailed)) throw thrown;
    return toErrorResponse(thrown, arrival, services.getDialect("openai-chat"), services);
  }
}

function toArrival(request: Request, services: Services): PassArrival {
  const id = Bun.randomUUIDv7();
  const { headers, method } = request;
  const query = request.url.indexOf("?");
  return {
    id,
    requestId: readRequestId(headers) ?? id,
    method,
    path: new URL(request.url).pathname,
    headers,
    signal: request.signal,
    atMs: services.clock.now(),
    atUs: services.clock.monotonicUs(),
    search: query < 0 ? "" : request.url.slice(query),
    async body() {
      if (!methods.has(method)) throw wrongMethod(method);
      // Where no key is asked, a page of another site may not act for whoever sits here.
      if (services.config.general.masterKey === undefined) assertFromHere(request, services);
      return readBody(request, services);
    },
  };
}

function wrongMethod(method: string): GatewayError {
  const message = `A way through takes GET, POST, PUT, PATCH and DELETE, not ${method.slice(0, 20)}.`;
  return new GatewayError("method_not_allowed", message);
}

async function readBody(request: Request, services: Services): ReturnType<PassArrival["body"]> {
  const limitBytes = services.config.routeiq.bodyLimitBytes;
  const { headers, method } = request;
  if (method === "GET" || method === "HEAD" || !request.body) {
    services.connections?.hold?.(request);
    return undefined;
  }
  const length = Number(headers.get("content-length") ?? Number.NaN);
  if (length > limitBytes) throw tooLarge(limitBytes);
  if (length <= wholeLimitBytes)
    return new Uint8Array(await readAny(request, services, limitBytes));
  return readPieces(request, services, limitBytes);
}

function toResponse({ record, status, headers, body }: PassReply, services: Services): Response {
  const { "content-type": _, ...own } = callHeaders(record, services);
  const sent = new Headers({ ...headers, ...own });
  // What it costs is known only when it has passed.
  if (body) for (const name of ["x-routeiq-cost-usd", "x-litellm-response-cost"]) sent.delete(name);
  const bodyless = status === 204 || status === 205 || status === 304;
  const content = body && !bodyless ? toReadable(body, services) : null;
  if (body && bodyless) body.cancel("gone");
  return new Response(content, { status, headers: sent });
}
