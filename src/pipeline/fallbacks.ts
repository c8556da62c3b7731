/** Where a call goes when its group has failed: LiteLLM's lists, in LiteLLM's order. */
import type { Config, FallbackList } from "../config/config.ts";
import type { Call } from "../domain/call.ts";
import type { GatewayError } from "../domain/errors.ts";
import { isObject } from "../domain/json.ts";
import { withoutPrefix } from "../domain/model.ts";

/**
 * Groups to try after an error, in order, the failed one left out. A list for context windows or
 * content policy that is configured, but not for this group, means that the error is returned.
 */
export function fallbacksFor(error: GatewayError, call: Call, config: Config): readonly string[] {
  if (call.options.disableFallbacks || (error.row.fault === "caller" && !isAboutModel(error)))
    return [];
  return listFor(error, call, config)
    .filter((group) => group !== call.requestedModel)
    .slice(0, config.router.maxFallbacks);
}

/** The caller's request does not fit this model, but may fit another. */
function isAboutModel({ code }: GatewayError): boolean {
  return code === "context_length_exceeded" || code === "content_policy_violation";
}

function listFor(error: GatewayError, call: Call, { router }: Config): readonly string[] {
  if (call.options.fallbacks) return call.options.fallbacks;
  const special =
    error.code === "context_length_exceeded"
      ? router.contextWindowFallbacks
      : error.code === "content_policy_violation"
        ? router.contentPolicyFallbacks
        : [];
  if (special.length > 0) return findIn(special, call.requestedModel) ?? [];
  return findIn(router.fallbacks, call.requestedModel) ?? router.defaultFallbacks;
}

/** By exact name, without the provider's prefix, then `*`. */
function findIn(lists: FallbackList, group: string): readonly string[] | undefined {
  for (const name of [group, withoutPrefix(group), "*"]) {
    for (const list of lists) {
      const found = Object.hasOwn(list, name) ? list[name] : undefined;
      if (found) return found.flatMap(toName);
    }
  }
  return undefined;
}

function toName(item: NonNullable<FallbackList[number][string]>[number]): string[] {
  const name = isObject(item) ? item["model"] : item;
  return typeof name === "string" ? [name] : [];
}
