/** Names to addresses, remembered for a short while, asked for once at a time. */
import { lookup } from "node:dns/promises";
import type { Clock } from "../std/clock.ts";

/** All addresses of a name, in the order to try them. Rejects where there are none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** The system's resolver: hosts file, DNS, and its preference between IPv4 and IPv6. */
export const systemResolve: Resolve = async (host) => {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
};

/** Against bursts only: how long a name is believed is decided by `outbound.ts`. */
const resolveTtlMs = 5_000;
const entryLimit = 1_000;

/** Answers are shared by all who ask while one lookup runs; failures are not remembered. */
export function createCachedResolve(resolve: Resolve, clock: Clock): Resolve {
  const known = new Map<
    string,
    { readonly answer: Promise<readonly string[]>; readonly untilMs: number }
  >();
  return (host) => {
    const entry = known.get(host);
    if (entry && entry.untilMs > clock.now()) return entry.answer;
    known.delete(host);
    const answer = resolve(host);
    if (known.size >= entryLimit) known.delete(known.keys().next().value ?? "");
    known.set(host, { answer, untilMs: clock.now() + resolveTtlMs });
    answer.catch(() => {
      if (known.get(host)?.answer === answer) known.delete(host);
    });
    return answer;
  };
}
