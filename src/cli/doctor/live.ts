/** `routeiq doctor --live`: asks the server on this machine. A container's health check, so quick. */
import { toGatewayError } from "../../domain/errors.ts";
import { createOutbound } from "../../security/outbound.ts";
import type { CommandContext } from "../command.ts";
import { readPlace } from "../place.ts";

const timeoutMs = 4_000;

/** 0: alive; 1: not, with the reason. */
export async function askLive(context: CommandContext): Promise<number> {
  const { out, signal } = context;
  const url = `http://${localHost(readPlace(context))}/_health/live`;
  const answer = await ask(url, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
  out.line(answer.alive ? `alive: ${url}` : `not alive: ${url}: ${answer.why}`);
  out.json({ ok: answer.alive, url, ...(answer.alive ? {} : { why: answer.why }) });
  return answer.alive ? 0 : 1;
}

type Answer = { readonly alive: true } | { readonly alive: false; readonly why: string };

export async function ask(url: string, signal: AbortSignal): Promise<Answer> {
  try {
    const response = await createOutbound().fetch({
      url,
      method: "GET",
      headers: { connection: "close" },
      trust: "operator",
      signal,
    });
    await response.body?.cancel();
    if (response.ok) return { alive: true };
    return { alive: false, why: `it answers ${response.status}` };
  } catch (thrown) {
    if (signal.aborted) return { alive: false, why: `no answer within ${timeoutMs} ms` };
    return { alive: false, why: toGatewayError(thrown).message };
  }
}

/** How this machine reaches a server that listens there: "every address" is none to call. */
export function localHost({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): string {
  const bare = host.replace(/^\[|\]$/g, "");
  if (bare === "0.0.0.0" || bare === "") return `127.0.0.1:${port}`;
  if (bare === "::") return `[::1]:${port}`;
  return bare.includes(":") ? `[${bare}]:${port}` : `${bare}:${port}`;
}
