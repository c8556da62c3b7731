/**
 * Whose a resource is. URIs stay as servers give them; where two servers have the same one, the later
 * server's is shown as `routeiq://server/…`, which always works.
 */

import type { McpServer } from "../../domain/mcp.ts";
import { rethrown } from "./mcp-error.ts";
import { ErrorCode } from "./sdk.ts";
import type { View } from "./view.ts";

export interface WantedResource {
  /** As its server knows it. */
  readonly uri: string;
  /** Set where the URI names its server. */
  readonly server?: string;
}

const scheme = "routeiq://";

export const toSharedUri = (server: string, uri: string) =>
  `${scheme}${server}/${encodeURIComponent(uri)}`;

/** @throws McpError invalid params */
export function readResourceUri(value: unknown): WantedResource {
  if (typeof value !== "string" || value === "") {
    throw rethrown(ErrorCode.InvalidParams, "'uri' must be the URI of a resource.");
  }
  if (!value.startsWith(scheme)) return { uri: value };
  const slash = value.indexOf("/", scheme.length);
  try {
    const uri = decodeURIComponent(value.slice(slash + 1));
    return { server: value.slice(scheme.length, slash), uri };
  } catch {
    throw rethrown(ErrorCode.InvalidParams, "'uri' is not percent-encoded as it should be.");
  }
}

const notFound = -32002;

/** By lists first, then by templates, then the only server that has resources. @throws McpError */
export async function findResourceOwner(
  view: View,
  { uri, server: named }: WantedResource,
  signal: AbortSignal,
): Promise<McpServer> {
  const { servers, single } = view.scope;
  const [only] = servers;
  if (single && only) return only;
  if (named !== undefined) {
    const owner = servers.find(({ name }) => name === named);
    if (owner) return owner;
    throw missing(uri);
  }
  for (const kind of ["resources", "templates"] as const) {
    for (const server of servers) {
      // A server that is away has nothing to show; another one may have it.
      const items = await view
        .reach(server)
        .catalog.list(kind, signal)
        .catch(() => []);
      const has = items.some((item) =>
        kind === "resources"
          ? item["uri"] === uri
          : item["uriTemplate"] === uri || fits(String(item["uriTemplate"]), uri),
      );
      if (has) return server;
    }
  }
  throw missing(uri);
}

/** Literal parts in their order: a template's variables may be anything. */
function fits(template: string, uri: string): boolean {
  const parts = template.split(/\{[^{}]*\}/);
  let at = 0;
  for (const [index, part] of parts.entries()) {
    const found = index === 0 ? (uri.startsWith(part) ? 0 : -1) : uri.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return parts.at(-1) === "" || at === uri.length;
}

const missing = (uri: string) =>
  rethrown(
    notFound,
    `There is no resource ${uri.slice(0, 200)}; resources/list has those that are.`,
    {
      uri: uri.slice(0, 200),
    },
  );
