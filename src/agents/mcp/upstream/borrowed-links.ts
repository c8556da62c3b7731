/**
 * Connections to servers with sessions for callers without one: each call that its server may ask
 * something in has one to itself, with what its caller can do, and leaves it to the next of the kind.
 */
import type { Caller } from "../../../domain/call.ts";
import type { JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import type { Clock } from "../../../std/clock.ts";
import { rethrown } from "../mcp-error.ts";
import { type ClientCapabilities, ErrorCode } from "../sdk.ts";
import type { Talk } from "../stateless/suspended-calls.ts";
import type { Borrowed } from "../view.ts";
import { Link, type LinkParts } from "./link.ts";

export interface BorrowRequest {
  readonly caller: Caller;
  readonly capabilities: JsonObject;
  /** Log lines from which level on are wanted; undefined: none. */
  readonly logLevel: string | undefined;
  readonly talk: Talk;
}

export interface BorrowedLinks {
  /** @throws McpError, where too many are in use */
  borrow(server: McpServer, request: BorrowRequest): Promise<Borrowed>;
  close(): Promise<void>;
}

const limits = { all: 200, idleOfAKind: 4, idleMs: 60_000 } as const;

interface Slot {
  readonly link: Link;
  readonly kind: string;
  talk: Talk | undefined;
  logLevel: string | undefined;
  stopTimer: () => void;
}

export function createBorrowedLinks(parts: LinkParts, clock: Clock): BorrowedLinks {
  const all = new Set<Slot>();
  const idle = new Map<string, Slot[]>();

  /** @throws McpError, where too many are in use */
  function open(server: McpServer, kind: string, { caller, capabilities }: BorrowRequest): Slot {
    makeRoom();
    const slot: Slot = {
      kind,
      talk: undefined,
      logLevel: undefined,
      stopTimer: () => undefined,
      link: new Link(server, parts, {
        ...(server.oauth?.perCaller ? { caller } : {}),
        capabilities: capabilities as ClientCapabilities,
        onRequest: (method, params, signal) =>
          slot.talk?.ask(method, params, signal) ?? Promise.reject(nobody()),
        onNotification: (method, params) => slot.talk?.onNotification(method, params),
      }),
    };
    all.add(slot);
    return slot;
  }

  async function end(slot: Slot): Promise<void> {
    all.delete(slot);
    slot.stopTimer();
    const others = (idle.get(slot.kind) ?? []).filter((each) => each !== slot);
    if (others.length > 0) idle.set(slot.kind, others);
    else idle.delete(slot.kind);
    await slot.link.close();
  }

  function release(slot: Slot, isSound: boolean): void {
    slot.talk = undefined;
    const others = idle.get(slot.kind) ?? [];
    if (!isSound || others.length >= limits.idleOfAKind) return void end(slot);
    idle.set(slot.kind, [...others, slot]);
    slot.stopTimer = clock.after(limits.idleMs, () => void end(slot));
  }

  /** The longest idle one, of whatever kind. @throws McpError */
  function makeRoom(): void {
    if (all.size < limits.all) return;
    const [oldest] = [...idle.values()].flat();
    if (oldest) return void end(oldest);
    const message = `${limits.all} calls that servers may ask something in are under way already; try again later.`;
    throw rethrown(ErrorCode.InternalError, message);
  }

  return {
    async borrow(server, request) {
      const { caller, capabilities, logLevel, talk } = request;
      const owner = server.oauth?.perCaller ? caller.id : "";
      const kind = JSON.stringify([server, owner, capabilities]);
      const slot = idle.get(kind)?.pop() ?? open(server, kind, request);
      slot.stopTimer();
      slot.talk = talk;
      try {
        await setLevel(slot, logLevel, talk.signal);
      } catch (thrown) {
        void end(slot);
        throw thrown;
      }
      return { link: slot.link, release: (isSound) => release(slot, isSound) };
    },
    async close() {
      await Promise.all([...all].map(end));
    },
  };
}

/** Log lines of servers that can be told a level. */
async function setLevel(
  slot: Slot,
  logLevel: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (logLevel === undefined || slot.logLevel === logLevel) return;
  const { capabilities } = await slot.link.open();
  if (!capabilities.logging) return;
  await slot.link.request("logging/setLevel", { level: logLevel }, { signal });
  slot.logLevel = logLevel;
}

const nobody = () => rethrown(ErrorCode.MethodNotFound, "Method not found");
