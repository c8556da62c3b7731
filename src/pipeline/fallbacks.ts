/** Where a call goes when its group has failed: LiteLLM's lists, in LiteLLM's order. */
import type { Config } from "../config/config.ts";
import type { Call, CallOptions, FallbackList, FallbackTarget } from "../domain/call.ts";
import type { ErrorCode, GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { withoutPrefix } from "../domain/model.ts";
import { gatewayFields } from "../providers/encode.ts";

/**
 * Groups to try after an error, in order, the failed one left out. A list for context windows or
 * content policy that is configured, but not for this group, means that the error is returned.
 */
export function fallbacksFor(
  error: GatewayError,
  call: Call,
  config: Config,
  group: string = call.requestedModel,
): readonly FallbackTarget[] {
  const { options, requestedModel } = call;
  const names = [...new Set([requestedModel, group])];
  if (options.disableFallbacks) return [];
  if (error.row.fault === "caller" && !aboutModel.has(error.code)) return [];
  return listFor(error, options, names, config)
    .filter(({ group: next, params }) => !names.includes(next) || params !== undefined)
    .slice(0, options.router?.maxFallbacks ?? config.router.maxFallbacks);
}

/** The caller's request does not fit this model, but may fit another. */
const aboutModel: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "context_length_exceeded",
  "content_policy_violation",
  "unsupported_capability",
]);

function listFor(
  { code }: GatewayError,
  options: CallOptions,
  names: readonly string[],
  config: Config,
): readonly FallbackTarget[] {
  if (options.fallbacks) return options.fallbacks;
  const lists = { ...config.router, ...options.router };
  const special =
    code === "context_length_exceeded"
      ? lists.contextWindowFallbacks
      : code === "content_policy_violation"
        ? lists.contentPolicyFallbacks
        : [];
  if (special.length > 0) return findIn(special, names) ?? [];
  const preset = lists.defaultFallbacks.map((group) => ({ group }));
  return findIn(lists.fallbacks, names) ?? preset;
}

/** By the name asked for, the group that it led to, both without the provider's prefix, then `*`. */
function findIn(
  lists: FallbackList,
  names: readonly string[],
): readonly FallbackTarget[] | undefined {
  for (const name of [...names, ...names.map(withoutPrefix), "*"]) {
    for (const list of lists) {
      const found = Object.hasOwn(list, name) ? list[name] : undefined;
      if (found) return found.flatMap((item) => toTarget(item) ?? []);
    }
  }
  return undefined;
}

/** A name, or an object with `model` and fields of the body: LiteLLM takes both. */
export function toTarget(item: unknown): FallbackTarget | undefined {
  if (typeof item === "string") return { group: item };
  if (!isObject(item) || typeof item["model"] !== "string") return undefined;
  const { model, ...rest } = item as JsonObject & { model: string };
  const fields = Object.entries(rest).filter(([name]) => !gatewayFields.has(name));
  return fields.length === 0
    ? { group: model }
    : { group: model, params: Object.fromEntries(fields) };
}

/** The call as a fallback gets it: real where only the first group was mocked, with its own fields. */
export function toFallbackCall(call: Call, { params }: FallbackTarget): Call {
  const options = call.options.mockedFirst ? afterMock(call.options) : call.options;
  const fits = params !== undefined && !call.upload && call.chat === undefined;
  if (!fits) return options === call.options ? call : { ...call, options };
  const body = { ...call.body, ...params };
  return { ...call, options, body, text: JSON.stringify(body) };
}

function afterMock({ mock: _, mockedFirst, numRetries: __, ...kept }: CallOptions): CallOptions {
  const numRetries = mockedFirst?.numRetries;
  return numRetries === undefined ? kept : { ...kept, numRetries };
}
