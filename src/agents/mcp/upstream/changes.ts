/** What servers tell over connections that are shared, for those who listen. */
import type { JsonObject } from "../../../domain/json.ts";

export type OnChange = (method: string, params: JsonObject) => void;

export interface Changes {
  /** Of one server, by its name; the answer ends it. */
  on(server: string, heard: OnChange): () => void;
  /** How many want to hear of one resource of a server, with this one more or less. */
  count(server: string, uri: string, by: 1 | -1): number;
  tell(server: string, method: string, params: JsonObject): void;
  /** Of the gateway's own, which concerns every server: what was approved, or configured. */
  tellAll(method: string): void;
}

export function createChanges(): Changes {
  const ears = new Map<string, Set<OnChange>>();
  const counts = new Map<string, number>();
  return {
    count(server, uri, by) {
      const key = `${server} ${uri}`;
      const count = (counts.get(key) ?? 0) + by;
      if (count > 0) counts.set(key, count);
      else counts.delete(key);
      return count;
    },
    on(server, heard) {
      const own = ears.get(server) ?? new Set<OnChange>();
      ears.set(server, own.add(heard));
      return () => {
        own.delete(heard);
        if (own.size === 0) ears.delete(server);
      };
    },
    tell(server, method, params) {
      for (const heard of ears.get(server) ?? []) heard(method, params);
    },
    tellAll(method) {
      for (const own of ears.values()) for (const heard of own) heard(method, {});
    },
  };
}
