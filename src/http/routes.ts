/** The hot routes: found by a map, run on the raw request, past every framework. */
import type { CallRoute } from "./call-route.ts";
import { mayOmitModel } from "./exchange.ts";
import type { BodyName } from "./openapi/bodies.ts";

export interface RouteGroup {
  readonly route: CallRoute;
  readonly paths: readonly string[];
  /** Its first group is the model. */
  readonly pattern?: RegExp;
  readonly docs: CallDocs;
}

/** What docs/http.md and `/openapi.json` tell of a call's route. */
export interface CallDocs {
  readonly summary: string;
  /** What `pattern` stands for: `/openai/deployments/{model}/embeddings`. */
  readonly templates?: readonly string[];
  readonly body: BodyName;
  /** Media types of its answer; the first is the usual one. */
  readonly replies: readonly [string, ...string[]];
  /** Reference that says what the gateway does not. */
  readonly source: string;
}

export const json = "application/json";
export const events = "text/event-stream";

/** Azure's clients and LiteLLM's put the model into the path; a name may hold slashes. */
export function inPath(path: string): Required<Pick<RouteGroup, "pattern">> & {
  readonly templates: readonly string[];
} {
  return {
    pattern: new RegExp(`^(?:/v1)?/(?:engines|openai/deployments)/(.+)${path}$`),
    templates: [`/engines/{model}${path}`, `/openai/deployments/{model}${path}`],
  };
}

export interface FoundRoute {
  readonly route: CallRoute;
  readonly model?: string;
}

export function createRouteTable(groups: readonly RouteGroup[]) {
  const exact = new Map<string, FoundRoute>();
  for (const { route, paths } of groups) for (const path of paths) exact.set(path, { route });
  return (path: string): FoundRoute | undefined => {
    const hit = exact.get(path);
    if (hit) return hit;
    for (const { route, pattern } of groups) {
      const model = pattern?.exec(path)?.[1];
      if (model !== undefined) return { route, model: decodeModel(model) };
    }
    return undefined;
  };
}

/** The routes whose calls are plain: a JSON body, its model in it, and the pipeline alone at work. */
export function createPlainRoutes(groups: readonly RouteGroup[]) {
  const plain = new Map<string, CallRoute>();
  for (const { route, paths } of groups) {
    if (route.form || route.handle || route.stream !== undefined) continue;
    if (mayOmitModel.has(route.operation)) continue;
    for (const path of paths) plain.set(path, route);
  }
  return (path: string): CallRoute | undefined => plain.get(path);
}

function decodeModel(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray "%": then it is part of the name
  }
}

/** The path of an absolute URL without parsing it; `new URL` throws where a Host header is bad. */
export function pathOf(url: string): string {
  const scheme = url.indexOf("://");
  const start = scheme < 0 ? 0 : url.indexOf("/", scheme + 3);
  if (start < 0) return "/";
  const query = url.indexOf("?", start);
  return query < 0 ? url.slice(start) : url.slice(start, query);
}
