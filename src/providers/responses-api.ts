/** What is particular about a provider's own Responses API: its addresses, and whether there is one. */
import type { Call } from "../domain/call.ts";
import type { GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import type { Provider } from "./provider.ts";

/** A path put on an address that may end in a query: Azure's says the version of its API there. */
export function putPath(url: string, path: string): string {
  const at = url.indexOf("?");
  if (at < 0) return url + path;
  const [way = "", search] = path.split("?", 2);
  return url.slice(0, at) + way + url.slice(at) + (search ? `&${search}` : "");
}

/**
 * Whether an answer says that a server at an operator's own base has no Responses API, rather than
 * no such model or response: then its chat API is asked, and the server remembered for it.
 */
export function lacksApi(
  { status, code, message }: GatewayError,
  { call, deployment }: { readonly call: Call; readonly deployment: Deployment },
  provider: Provider,
): boolean {
  const absent = code === "upstream_not_found" || status === 405 || status === 501;
  if (!absent || deployment.apiBase === provider.baseUrl || call.pin?.only) return false;
  // Who misses a model, or an earlier response, names it.
  return !message.includes(deployment.upstreamModel) && !/previous.response/i.test(message);
}
