/**
 * What the traffic itself says of an answer, told from logged facts: the same question again in the
 * same conversation within minutes (nobody asks twice for a good answer), the conversation that went
 * on to something else, and the form of the answer where the request asked for one (JSON by its
 * schema, calls of its tools). Each speaks for and against, so that what is heard is not only bad.
 */
import type { CallEvent } from "../../domain/event.ts";

export interface Sign {
  /** `implicit:<name>`: the source of the label that it makes. */
  readonly name: "regenerated" | "continued" | "form";
  /** In [0, 1]. */
  readonly score: number;
}

export interface SignedEvent {
  readonly event: CallEvent;
  readonly signs: readonly Sign[];
}

/** Asked again later than this, it is another matter. */
const regenerateMs = 5 * 60_000;
/** Nobody asks more often: beyond it, it is a program, or many people with one question. */
const patience = 3;
/** A conversation is waited for no longer, in the log's own time. */
const continueMs = 30 * 60_000;
/** Events held back at once, with their features: some 15 MB. */
const heldLimit = 4_096;

/** The same events in the same order, each with what the calls after it say of it. */
export async function* withSigns(events: AsyncIterable<CallEvent>): AsyncGenerator<SignedEvent> {
  const held = new Set<Held>(); // in the order they came
  const latest = new Map<string, Held>();
  const release = (one: Held): SignedEvent => {
    const { sessionHash } = one.event;
    if (sessionHash !== undefined && latest.get(sessionHash) === one) latest.delete(sessionHash);
    held.delete(one);
    return one;
  };
  for await (const event of events) {
    const own: Held = { event, signs: signsOf(event), repeats: 0 };
    const { sessionHash, receipt } = event;
    if (sessionHash !== undefined) {
      const before = latest.get(sessionHash);
      if (before) addNext(before, own);
      latest.set(sessionHash, own);
    }
    held.add(own);
    for (const one of held) {
      if (!isDue(one, held.size, receipt.atMs)) break;
      yield release(one);
    }
  }
  for (const one of held) yield release(one);
}

interface Held {
  readonly event: CallEvent;
  readonly signs: Sign[];
  /** How often it had been asked before, one after the other. */
  repeats: number;
}

function isDue({ event }: Held, count: number, nowMs: number): boolean {
  if (event.sessionHash === undefined || count > heldLimit) return true;
  return nowMs - event.receipt.atMs > continueMs;
}

function addNext({ event, signs, repeats }: Held, next: Held): void {
  const { receipt, queryHash } = event;
  const isAgain = queryHash !== undefined && next.event.queryHash === queryHash;
  if (isAgain) next.repeats = repeats + 1;
  if (receipt.outcome !== "success" || queryHash === undefined) return;
  const afterMs = next.event.receipt.atMs - receipt.atMs;
  if (isAgain) {
    if (afterMs <= regenerateMs && repeats < patience)
      signs.push({ name: "regenerated", score: 0 });
  } else if (afterMs <= continueMs) signs.push({ name: "continued", score: 1 });
}

function signsOf({ receipt }: CallEvent): Sign[] {
  const { form } = receipt;
  return form ? [{ name: "form", score: form.valid ? 1 : 0 }] : [];
}
