/** Origins whose addresses were checked, kept so that a call on a known way costs a look into a map. */
import { GatewayError } from "../domain/errors.ts";
import type { Clock } from "../std/clock.ts";
import { parseAddress } from "./address.ts";
import type { Exchange } from "./http1/exchange.ts";
import { Pool, type PoolLimits } from "./http1/pool.ts";
import type { Probe } from "./probe.ts";
import type { Resolve } from "./resolve.ts";
import type { Trust } from "./ssrf.ts";
import { type AllowRules, checkAddress, checkUrl, type Target } from "./ssrf.ts";
import { tooSlow, unreachable } from "./upstream-error.ts";
import { createWatch, type Watch } from "./watch.ts";

/** An origin whose addresses were checked. */
export interface Route {
  readonly target: Target;
  readonly addresses: readonly CheckedAddress[];
  readonly port: number;
  /** The certificate is checked against the name, though the connection goes to the address. */
  readonly tls: { readonly serverName?: string; readonly ca?: string } | undefined;
  readonly madeAtMs: number;
  renewing: boolean;
  /** Index of the address that answered last. */
  preferred: number;
  /** An answer came before this route's memory ended: no need to doubt the connection early. */
  warm: boolean;
  /** The server was found not to speak HTTP/2. */
  http1Only: boolean;
}

export interface CheckedAddress {
  /** As `probe` takes it. */
  readonly text: string;
  /** `https://203.0.113.7:443`: what to put in front of the path. */
  readonly base: string;
  readonly watch: Watch;
  /** Our own connections to it; a renewed route goes on with them. */
  readonly pool: Pool;
}

export interface RoutesOptions {
  readonly clock: Clock;
  readonly allow: AllowRules;
  readonly resolve: Resolve;
  readonly probe: Probe;
  readonly ca: string | undefined;
  readonly poolLimits: PoolLimits;
  readonly reopen: (exchange: Exchange) => void;
}

/** Of `Destination`, what decides the way there. */
export interface Way {
  readonly key: string;
  readonly url: string;
  readonly trust: Trust;
}

export interface Wanted extends Way {
  readonly limitMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface Routes {
  /** A route that may be used at once; undefined where it must be looked for. */
  find(to: Way, limitMs: number, nowMs: number): Route | undefined;
  /** @throws GatewayError address_refused, upstream_unreachable, upstream_timeout */
  open(wanted: Wanted): Promise<Route>;
  /** The next call looks for it anew: it may have moved. */
  forget(key: string): void;
}

/** A route is used as it is for so long; past that, renewed while it serves; past the second, first. */
const freshMs = 30_000;
const staleMs = 300_000;
const routeLimit = 1_000;

export function createRoutes(options: RoutesOptions): Routes {
  const known = new Map<string, Route>();
  const pools = createPools(options);

  async function open(wanted: Wanted): Promise<Route> {
    const before = known.get(wanted.key);
    const route = await findRoute(wanted, before, pools, options);
    known.delete(wanted.key);
    if (known.size >= routeLimit) known.delete(known.keys().next().value ?? "");
    known.set(wanted.key, route);
    return route;
  }

  function renew(wanted: Wanted, route: Route): void {
    if (route.renewing) return;
    route.renewing = true;
    open(wanted).catch((thrown: unknown) => {
      route.renewing = false;
      // The name leads astray now: the next call is to be told so. A resolver's failure is waited out.
      if (thrown instanceof GatewayError && thrown.code === "address_refused") {
        known.delete(wanted.key);
      }
    });
  }

  return {
    open,
    find(to, limitMs, nowMs) {
      const route = known.get(to.key);
      if (!route) return undefined;
      const ageMs = nowMs - route.madeAtMs;
      if (ageMs < freshMs) return route;
      if (ageMs > staleMs) return undefined;
      // It has aged: it still serves, as its addresses were checked, while it is made anew.
      const { key, url, trust } = to;
      renew({ key, url, trust, limitMs, signal: undefined }, route);
      return route;
    },
    forget: (key) => void known.delete(key),
  };
}

type Pools = (address: string, port: number, tls: Route["tls"]) => Pool;

/** One per address, port and name, whichever routes lead there. */
function createPools({ clock, poolLimits, reopen }: RoutesOptions): Pools {
  const pools = new Map<string, Pool>();
  return (address, port, tls) => {
    const key = `${address} ${port} ${tls ? `tls ${tls.serverName ?? ""}` : ""}`;
    const known = pools.get(key);
    if (known) return known;
    if (pools.size >= routeLimit) {
      for (const [old, pool] of pools) if (pool.size === 0) pools.delete(old);
    }
    const pool = new Pool({ address, port, tls, limits: poolLimits, clock, reopen });
    pools.set(key, pool);
    return pool;
  };
}

async function findRoute(
  { url, trust, limitMs, signal }: Wanted,
  before: Route | undefined,
  pools: Pools,
  options: RoutesOptions,
): Promise<Route> {
  const { clock, probe, ca, allow } = options;
  const target = checkUrl(url, trust, allow);
  const texts = target.address
    ? [target.host]
    : await checkedAddresses(target.host, { trust, limitMs, signal }, options);
  const secure = target.url.protocol === "https:";
  const port = Number(target.url.port || (secure ? 443 : 80));
  const tls = secure
    ? {
        ...(target.address ? {} : { serverName: target.host }),
        ...(ca === undefined ? {} : { ca }),
      }
    : undefined;
  return {
    target,
    addresses: texts.map((text) => ({
      text,
      base: `${target.url.protocol}//${text.includes(":") ? `[${text}]` : text}:${port}`,
      watch: createWatch(clock, (timeoutMs) => probe(text, port, timeoutMs)),
      pool: pools(text, port, tls),
    })),
    port,
    tls,
    madeAtMs: clock.now(),
    renewing: false,
    preferred: 0,
    warm: before?.warm ?? false,
    http1Only: before?.http1Only ?? false,
  };
}

interface HowToResolve {
  readonly trust: Trust;
  readonly limitMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * What a name resolved to, where every address is in order: one that is not refuses the name.
 * @throws GatewayError address_refused, upstream_unreachable
 */
export function checkFound(
  found: readonly string[],
  {
    host,
    trust,
    allow,
  }: { readonly host: string; readonly trust: Trust; readonly allow: AllowRules },
): string[] {
  if (found.length === 0) throw unreachable(host, "its name has no address");
  return found.map((text) => {
    const bytes = parseAddress(text);
    if (!bytes) throw unreachable(host, "its name resolves to something that is no address");
    checkAddress(bytes, { host, trust, allow });
    return text;
  });
}

async function checkedAddresses(
  host: string,
  how: HowToResolve,
  { resolve, allow, clock }: RoutesOptions,
): Promise<string[]> {
  const found = await resolveInTime(() => resolve(host), host, how, clock);
  return checkFound(found, { host, trust: how.trust, allow });
}

function resolveInTime(
  resolve: () => Promise<readonly string[]>,
  host: string,
  { limitMs, signal }: HowToResolve,
  clock: Clock,
): Promise<readonly string[]> {
  return new Promise((settle, reject) => {
    const cancel = clock.after(limitMs, () => {
      finish(() => reject(tooSlow(host, "its name was not resolved", limitMs)));
    });
    const onAbort = () => finish(() => reject(signal?.reason));
    const finish = (act: () => void) => {
      cancel();
      signal?.removeEventListener("abort", onAbort);
      act();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    resolve().then(
      (found) => finish(() => settle(found)),
      (cause) => finish(() => reject(unreachable(host, "its name does not resolve", cause))),
    );
  });
}
