/**
 * Which model a conversation has been answered by, so that its later turns stay: a change loses
 * the provider's prompt cache and changes the voice in the middle of a talk. Bounded, in memory.
 */
import { createLru } from "../std/lru.ts";

export interface Session {
  readonly model: string;
  /** Input tokens of its last turn: about what the provider's prompt cache holds. */
  readonly inputTokens: number;
}

export interface Sessions {
  find(key: string): Session | undefined;
  remember(key: string, session: Session): void;
}

export const sessionLimit = 10_000;

/** Utility that a change of model must gain, beyond the lost prompt cache. */
export const switchingMargin = 0.02;

export function createSessions(limit: number = sessionLimit): Sessions {
  const sessions = createLru<string, Session>(limit);
  return {
    find: (key) => sessions.get(key),
    remember: (key, session) => sessions.set(key, session),
  };
}
