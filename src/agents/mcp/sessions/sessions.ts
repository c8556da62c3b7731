/** The sessions that are open: bounded in all and for each caller, ended when they fall silent. */
import type { Caller } from "../../../domain/call.ts";
import { GatewayError } from "../../../domain/errors.ts";
import type { McpSettings } from "../../../domain/mcp.ts";
import type { Clock } from "../../../std/clock.ts";
import type { Session } from "./session.ts";

/** A session and how its client's requests reach it. */
export interface OpenSession {
  readonly id: string;
  readonly session: Session;
  /** Streamable HTTP: a request of the session. Missing: it is spoken to over SSE. */
  readonly handle?: (request: Request, body: unknown) => Promise<Response>;
  readonly receive?: (message: unknown) => void;
}

interface Entry extends OpenSession {
  lastMs: number;
}

export interface Sessions {
  /** @throws GatewayError overloaded, where this caller has too many */
  assertRoom(caller: Caller): void;
  add(open: OpenSession): void;
  /** Its own caller's alone; others hear that there is none. */
  find(id: string, caller: Caller): OpenSession | undefined;
  remove(id: string): Promise<void>;
  all(): readonly OpenSession[];
  close(): Promise<void>;
}

const sweepMs = 30_000;

export function createSessions(clock: Clock, settings: () => McpSettings): Sessions {
  const entries = new Map<string, Entry>();
  let stop: (() => void) | undefined;

  async function remove(id: string): Promise<void> {
    const entry = entries.get(id);
    if (!entry) return;
    entries.delete(id);
    await entry.session.close().catch(() => undefined); // its client or server has gone already
  }

  function sweep(): void {
    const oldestMs = clock.now() - settings().sessionIdleMs;
    for (const { id, lastMs } of entries.values()) if (lastMs < oldestMs) void remove(id);
    stop = entries.size > 0 ? clock.after(sweepMs, sweep) : undefined;
  }

  return {
    assertRoom({ id }) {
      const { maxSessionsPerCaller: most } = settings();
      let own = 0;
      for (const { session } of entries.values()) if (session.caller.id === id) own++;
      if (own < most) return;
      const message = `You have ${own} MCP sessions open, which is the limit. End some (DELETE with their Mcp-Session-Id).`;
      throw new GatewayError("overloaded", message, { retryAfterS: 30 });
    },
    add(open) {
      // The map is in order of use, so the first is the longest idle.
      const [first] = entries.keys();
      if (entries.size >= settings().maxSessions && first !== undefined) void remove(first);
      entries.set(open.id, { ...open, lastMs: clock.now() });
      stop ??= clock.after(sweepMs, sweep);
    },
    find(id, caller) {
      const entry = entries.get(id);
      if (!entry || entry.session.caller.id !== caller.id) return undefined;
      entry.lastMs = clock.now();
      entries.delete(id);
      entries.set(id, entry);
      return entry;
    },
    remove,
    all: () => [...entries.values()],
    async close() {
      stop?.();
      await Promise.all([...entries.keys()].map(remove));
    },
  };
}
