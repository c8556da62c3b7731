/**
 * Headers for those who ask for more (`litellm_settings.return_response_headers`): LiteLLM's times
 * and cost in its parts, and the provider's own headers. Each costs half a microsecond, so that they
 * are no part of every answer.
 */
import { costMicroUsd, type Usage } from "../domain/usage.ts";
import { type CallRecord, costOf } from "../pipeline/record.ts";
import type { Services } from "../pipeline/services.ts";
import { timeoutsFor } from "../pipeline/timeouts.ts";
import { usd } from "./headers.ts";

/** Beyond it a provider's headers are left out: proxies on the way take some 8 KB in all. */
const providerLimitChars = 3_000;

/** What is about the connection, or a secret of the provider's session. */
const notForwarded =
  /^(connection|keep-alive|transfer-encoding|content-(length|encoding)|set-cookie|upgrade|trailer|te|proxy-.*|alt-svc|strict-transport-security)$/;

/** Whether they were asked for. */
export const wantsMore = ({ config }: Services): boolean => config.litellm.returnResponseHeaders;

export function moreHeaders(record: CallRecord, services: Services): [string, string][] {
  return [
    ...timeHeaders(record, services),
    ...costHeaders(record),
    ...providerHeaders(record.upstreamHeaders),
  ];
}

/** The same as lines of a head. */
export function moreHeaderLines(record: CallRecord, services: Services): string {
  const lines = moreHeaders(record, services).map(([name, value]) => `${name}: ${value}\r\n`);
  return lines.join("");
}

function timeHeaders(record: CallRecord, { clock, config }: Services): [string, string][] {
  const { call, deployment } = record;
  const totalMs = record.outcome === undefined ? clock.now() - call.startedAtMs : record.totalMs;
  const told: [string, string][] = [
    ["x-litellm-response-duration-ms", String(Math.round(totalMs * 1000) / 1000)],
  ];
  if (!deployment) return told;
  const retries = call.options.numRetries ?? deployment.numRetries ?? config.router.numRetries;
  const { totalMs: limitMs } = timeoutsFor(call, deployment, config);
  return [
    ...told,
    ["x-litellm-max-retries", String(retries)],
    ["x-litellm-timeout", String(limitMs / 1000)],
    ["x-litellm-model-name", encodeURI(deployment.candidate)],
  ];
}

/**
 * The parts add up to the whole: input without what the cache had to do with, read from the cache,
 * written to it, output. Reasoning is a part of the output.
 */
function costHeaders(record: CallRecord): [string, string][] {
  const { usage, deployment } = record;
  const total = record.outcome === "success" ? costOf(record) : undefined;
  if (!usage || !deployment || total === undefined) return [];
  const without = (changed: Partial<Usage>) =>
    total - (costMicroUsd({ ...usage, ...changed }, deployment.facts.price) ?? total);
  const { cachedInputTokens: cached = 0, cacheWriteTokens: written = 0, inputTokens } = usage;
  const read = without({ cachedInputTokens: 0, inputTokens: inputTokens - cached });
  const write = without({ cacheWriteTokens: 0, inputTokens: inputTokens - written });
  const output = without({ outputTokens: 0, reasoningTokens: 0 });
  const reasoning = usage.reasoningTokens ?? 0;
  const share = usage.outputTokens > 0 ? Math.round((output * reasoning) / usage.outputTokens) : 0;
  return [
    ["x-litellm-response-cost-original", usd(total)],
    ["x-litellm-response-cost-input", usd(total - read - write - output)],
    ["x-litellm-response-cost-cache-read", usd(read)],
    ["x-litellm-response-cost-cache-creation", usd(write)],
    ["x-litellm-response-cost-output", usd(output)],
    ["x-litellm-response-cost-reasoning", usd(share)],
  ];
}

/** As `llm_provider-<name>`; its limits also under their own names, where OpenAI's clients look. */
function providerHeaders(headers: Headers | undefined): [string, string][] {
  const told: [string, string][] = [];
  let size = 0;
  headers?.forEach((value, name) => {
    if (notForwarded.test(name)) return;
    const isLimit = name.startsWith("x-ratelimit-");
    size += (name.length + value.length) * (isLimit ? 2 : 1);
    if (size > providerLimitChars) return;
    told.push([`llm_provider-${name}`, value]);
    if (isLimit) told.push([name, value]);
  });
  return told;
}
