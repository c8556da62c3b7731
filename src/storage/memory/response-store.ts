/** Responses in memory: where no data folder can be written. The oldest go first. */
import type { Clock } from "../../std/clock.ts";
import type { ResponseLimits, ResponseStore, StoredResponse } from "../response-store.ts";

export const memoryLimits = { maxRows: 2_000, maxBytes: 64 * 1024 * 1024 } as const;

interface Row {
  readonly stored: StoredResponse;
  readonly sizeBytes: number;
  readonly expiresMs: number;
  leaseMs?: number;
  stop?: boolean;
}

const dayMs = 86_400_000;

export function createMemoryResponseStore(
  limits: Pick<ResponseLimits, "maxAgeDays">,
  clock: Clock,
): ResponseStore {
  const rows = new Map<string, Row>();
  let total = 0;

  function drop(id: string): boolean {
    total -= rows.get(id)?.sizeBytes ?? 0;
    return rows.delete(id);
  }

  function get(id: string): Row | undefined {
    const row = rows.get(id);
    if (!row || row.expiresMs > clock.now()) return row;
    drop(id);
    return undefined;
  }

  function put(stored: StoredResponse): void {
    const before = rows.get(stored.id);
    drop(stored.id);
    const sizeBytes = JSON.stringify(stored).length;
    const expiresMs = clock.now() + limits.maxAgeDays * dayMs;
    rows.set(stored.id, { ...before, stored, sizeBytes, expiresMs });
    total += sizeBytes;
    for (const oldest of rows.keys()) {
      if (rows.size <= memoryLimits.maxRows && total <= memoryLimits.maxBytes) break;
      drop(oldest);
    }
  }

  return {
    problem: undefined,
    async put(stored) {
      put(stored);
    },
    async update(stored) {
      if (get(stored.id)) put(stored);
    },
    find: async (id) => get(id)?.stored,
    async chain(id, limit) {
      const found: StoredResponse[] = [];
      for (let next = get(id); next && found.length < limit; ) {
        found.unshift(next.stored);
        const { previous } = next.stored;
        next = previous === undefined ? undefined : get(previous);
      }
      return found;
    },
    remove: async (id) => drop(id),
    async renew({ id, untilMs }) {
      const row = get(id);
      if (!row || row.stop) return "stop";
      row.leaseMs = untilMs;
      return "go on";
    },
    leaseOf: async (id) => get(id)?.leaseMs,
    async stop(id) {
      const row = get(id);
      if (row) row.stop = true;
    },
    close: async () => undefined,
  };
}
