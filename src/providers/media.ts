/**
 * What callers name by an address and a provider wants as bytes: fetched before the request leaves,
 * under the strict rule for addresses, hop by hop, within limits.
 */
import type { FetchedMedia, ProviderDialect } from "../dialects/dialect.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import { toReply } from "../security/fetch-reply.ts";
import type { Outbound } from "../security/outbound.ts";
import { readUpTo } from "./read-reply.ts";

export const mediaLimits = {
  /** Of one file. */
  bytes: 20 * 1024 * 1024,
  /** Addresses in one request. */
  count: 20,
  redirects: 3,
  /** Of one file, redirects included. */
  waitMs: 15_000,
} as const;

const atOnce = 4;

/**
 * The request's text with what lies at its addresses; the text itself where it names none.
 * @throws GatewayError invalid_request or address_refused that names the address
 */
export async function fillMedia(
  text: string,
  dialect: ProviderDialect,
  outbound: Pick<Outbound, "fetch">,
  signal: AbortSignal,
): Promise<string> {
  if (!(dialect.withMedia && /"https?:/i.test(text))) return text;
  const body: JsonObject = JSON.parse(text);
  const urls = new Set<string>();
  dialect.withMedia(body, (url) => {
    urls.add(url);
    return undefined;
  });
  if (urls.size === 0) return text;
  if (urls.size > mediaLimits.count) {
    throw invalid(`The request names ${urls.size} files; ${mediaLimits.count} are the most.`);
  }
  const found = new Map<string, FetchedMedia>();
  const waiting = [...urls];
  const work = async () => {
    for (let url = waiting.shift(); url; url = waiting.shift()) {
      found.set(url, await fetchMedia(url, outbound, signal));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, waiting.length) }, work));
  return JSON.stringify(dialect.withMedia(body, (url) => found.get(url)));
}

async function fetchMedia(
  first: string,
  outbound: Pick<Outbound, "fetch">,
  caller: AbortSignal,
): Promise<FetchedMedia> {
  const late = AbortSignal.timeout(mediaLimits.waitMs);
  const signal = AbortSignal.any([caller, late]);
  try {
    let url = first;
    for (let hops = 0; hops <= mediaLimits.redirects; hops++) {
      const headers = { accept: "*/*" };
      const response = await outbound.fetch({
        url,
        method: "GET",
        headers,
        signal,
        trust: "strict",
      });
      const next = response.headers.get("location");
      if (response.status >= 300 && response.status < 400 && next !== null) {
        await response.body?.cancel();
        url = toUrl(next, url);
        continue;
      }
      if (response.ok) return await readMedia(response);
      await response.body?.cancel();
      throw invalid(`${hostOf(first)} answered ${response.status} to "${excerpt(first)}".`);
    }
    throw invalid(`"${excerpt(first)}" leads from address to address.`);
  } catch (thrown) {
    if (caller.aborted) throw caller.reason;
    if (late.aborted) {
      throw invalid(`"${excerpt(first)}" was not there within ${mediaLimits.waitMs / 1000} s.`);
    }
    if (thrown instanceof GatewayError && thrown.row.fault === "caller") throw thrown;
    const why = thrown instanceof GatewayError ? thrown.message : "the connection broke";
    // Not the provider's failure: no other deployment would read it either.
    throw invalid(`"${excerpt(first)}" cannot be read: ${why}`, thrown);
  }
}

async function readMedia(response: Response): Promise<FetchedMedia> {
  const bytes = await readUpTo(toReply(response), mediaLimits.bytes, "refuse");
  const told = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  const buffer = bytes instanceof ArrayBuffer ? Buffer.from(bytes) : Buffer.from(bytes);
  return { mediaType: sniff(buffer) ?? told, base64: buffer.toString("base64") };
}

/** Servers name images wrongly, or call them bytes; providers go by the name. */
function sniff(bytes: Buffer): string | undefined {
  const starts = (text: string, at = 0) => bytes.toString("latin1", at, at + text.length) === text;
  if (starts("\x89PNG")) return "image/png";
  if (starts("\xff\xd8\xff")) return "image/jpeg";
  if (starts("GIF8")) return "image/gif";
  if (starts("RIFF") && starts("WEBP", 8)) return "image/webp";
  return starts("%PDF-") ? "application/pdf" : undefined;
}

function toUrl(next: string, from: string): string {
  if (URL.canParse(next, from)) return new URL(next, from).href;
  throw invalid(`"${excerpt(from)}" leads to what is no address.`);
}

const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).host : "The address");

function invalid(message: string, cause?: unknown): GatewayError {
  return new GatewayError("invalid_request", message, cause === undefined ? {} : { cause });
}
