/** A skill's way out: to the hosts that it was allowed, through the address rule, a few times. */
import type { Outbound } from "../../security/outbound.ts";

export interface SkillFetchOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface SkillFetchAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** @throws Error that the skill may read */
export type SkillFetch = (url: string, options: SkillFetchOptions) => Promise<SkillFetchAnswer>;

export const fetchLimits = { calls: 20, bytes: 1024 * 1024, ms: 10_000 } as const;

/** For one run. */
export function createSkillFetch({
  hosts,
  timeoutMs,
  outbound,
}: {
  readonly hosts: readonly string[];
  readonly timeoutMs: number;
  readonly outbound: Outbound;
}): SkillFetch {
  let calls = 0;
  return async (url, { method = "GET", headers = {}, body }) => {
    calls += 1;
    if (calls > fetchLimits.calls) throw new Error(`more than ${fetchLimits.calls} requests`);
    const host = URL.canParse(url) ? new URL(url).hostname : "";
    if (!hosts.includes(host)) throw new Error(`the skill may not reach ${host || "this address"}`);
    const response = await outbound.fetch({
      url,
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(Math.min(timeoutMs, fetchLimits.ms)),
      trust: "strict",
    });
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      size += part.length;
      if (size > fetchLimits.bytes) throw new Error(`an answer over ${fetchLimits.bytes} bytes`);
      parts.push(part);
    }
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: Buffer.concat(parts).toString("utf8"),
    };
  };
}
