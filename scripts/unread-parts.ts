/** Parts of the gateway for whoever reads the table of routes without running any. */
import type { SlowRouteParts } from "../src/http/slow-routes.ts";

/** Whatever is asked of them exists; calling it is a mistake. */
export function unreadParts(over: Partial<SlowRouteParts> = {}): SlowRouteParts {
  const unused = () => {
    throw new Error("the table of routes is only read here");
  };
  const anything: object = new Proxy(unused, { get: () => anything });
  const get = (known: object, name: string) => Reflect.get(known, name) ?? anything;
  return new Proxy(over, { get: (known, name) => get(known, String(name)) }) as SlowRouteParts;
}
