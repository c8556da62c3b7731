/**
 * Azure's forms of OpenAI's paths: `/openai/v1/…`, and `/openai/…?api-version=…`. They lie where the
 * way through to OpenAI lies as well, so a model's name decides: what is configured here is answered
 * here, all else takes the way through where that is open.
 * Source: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import type { PassThroughMatch } from "../../providers/pass-through.ts";
import { parseJson } from "../../std/json.ts";
import type { Exchange } from "../call-route.ts";
import { answerPassThrough } from "../pass-through.ts";
import { readBytes } from "../read-body.ts";
import type { SlowRoutes } from "../route.ts";
import { type FoundRoute, pathOf } from "../routes.ts";

export interface AzureFormParts {
  readonly findRoute: (path: string) => FoundRoute | undefined;
  readonly exchange: Exchange;
  readonly slowRoutes: () => Promise<SlowRoutes>;
  readonly refuse: (request: Request, error: GatewayError, services: Services) => Response;
}

/** Undefined: it is none of ours, and the way through has it. */
export type AzureForm = (
  request: Request,
  services: Services,
) => Promise<Response | undefined> | undefined;

export function createAzureForm(parts: AzureFormParts): AzureForm {
  const { findRoute, exchange, slowRoutes } = parts;
  return (request, services) => {
    const { url, method } = request;
    const path = pathOf(url);
    const own = toOwnPath(path, url);
    if (own === undefined) return undefined;
    const found = findRoute(own);
    // What is remembered here was made here.
    if (!found && kept.test(own)) return slowRoutes().then((slow) => slow.fetch(at(own, request)));
    const match = findOpen(path, services);
    if (!found) {
      const lists = method === "GET" && /^\/v1\/models(\/|$)/.test(own);
      return lists && !match
        ? slowRoutes().then((slow) => slow.fetch(at(own, request)))
        : undefined;
    }
    if (method !== "POST") return undefined;
    if (!match) return exchange(request, found.route, services, found.model);
    return answerByModel(request, { found, match }, services, parts);
  };
}

const kept = /^\/v1\/(responses\/|realtime\/)/;

function toOwnPath(path: string, url: string): string | undefined {
  if (path.startsWith("/openai/v1/")) return path.slice("/openai".length);
  if (!path.startsWith("/openai/") || path.startsWith("/openai/deployments/")) return undefined;
  return /[?&]api-version=/.test(url) ? `/v1${path.slice("/openai".length)}` : undefined;
}

function at(path: string, request: Request): Request {
  const url = new URL(request.url);
  url.pathname = path;
  return new Request(url, request);
}

function findOpen(path: string, { passThrough }: Services): PassThroughMatch | undefined {
  try {
    return passThrough.findProvider(path);
  } catch {
    return undefined; // closed, as the error would say
  }
}

interface Way {
  readonly found: FoundRoute;
  readonly match: PassThroughMatch;
}

/** A form is sent on while it comes: its model is not known in time, and the way through has it. */
async function answerByModel(
  request: Request,
  { found: { route, model }, match }: Way,
  services: Services,
  { exchange, refuse }: AzureFormParts,
): Promise<Response> {
  const { url, method, headers, signal } = request;
  if (/^multipart\//i.test(headers.get("content-type") ?? "")) {
    return answerPassThrough(request, match, services);
  }
  try {
    services.authenticator.authenticate(headers);
    const body = await readBytes(request, services);
    const read = new Request(url, { method, headers, signal, body: body as BodyInit });
    const named = model ?? modelIn(body);
    const isOurs = named !== undefined && services.table.find(named) !== undefined;
    return isOurs
      ? await exchange(read, route, services, model)
      : await answerPassThrough(read, match, services);
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    return refuse(request, thrown, services);
  }
}

function modelIn(bytes: Uint8Array | ArrayBuffer): string | undefined {
  try {
    const body = parseJson(bytes);
    const model = isObject(body) ? body["model"] : undefined;
    return typeof model === "string" ? model : undefined;
  } catch {
    return undefined; // whoever gets it says what is wrong with it
  }
}
