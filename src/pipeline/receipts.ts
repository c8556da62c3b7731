/** Receipts of calls that ended a moment ago and whose features are awaited, until the event log has them. */
import type { Receipt } from "../domain/decision.ts";
import { type Clock, sleep } from "../std/clock.ts";
import type { EventLog } from "../storage/event-log.ts";

export interface ReceiptRing {
  add(receipt: Receipt): void;
  find(callId: string): Receipt | undefined;
  /** The event log has it now: thousands of small objects would only burden the collector. */
  remove(callId: string): void;
  /** Resolves when the event log has all of them, or after `settleLimitMs`. */
  settled(clock: Clock): Promise<void>;
}

export const receiptLimit = 2_048;
export const settleLimitMs = 2_000;
const settleStepMs = 5;

/** The oldest goes when a new one comes. */
export function createReceiptRing(limit: number = receiptLimit): ReceiptRing {
  const ids: string[] = [];
  const byId = new Map<string, Receipt>();
  let next = 0;
  return {
    add(receipt) {
      const oldest = ids[next];
      if (oldest !== undefined) byId.delete(oldest);
      ids[next] = receipt.callId;
      byId.set(receipt.callId, receipt);
      next = (next + 1) % limit;
    },
    find: (callId) => byId.get(callId),
    remove: (callId) => void byId.delete(callId),
    async settled(clock) {
      for (let waitedMs = 0; byId.size > 0 && waitedMs < settleLimitMs; waitedMs += settleStepMs) {
        await sleep(clock, settleStepMs);
      }
    },
  };
}

/**
 * A call's receipt: from memory until the log has it, then from there, with its feedback. Memory
 * first: while the log is asked, the receipt may move there.
 */
export async function findReceipt(
  callId: string,
  { events, receipts }: { readonly events: EventLog; readonly receipts: ReceiptRing },
): Promise<Receipt | undefined> {
  return receipts.find(callId) ?? (await events.findReceipt(callId));
}
