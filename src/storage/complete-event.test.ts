/** What the background thread makes of a call's query: hashes, and nothing in clear. */
import { expect, test } from "bun:test";
import { callEvent } from "../../test/support/events.ts";
import { hashUser } from "../security/hashing.ts";
import { completeEvent } from "./complete-event.ts";
import { createBatchBuilder, decodeBatch } from "./event-batch.ts";

test("session and end user travel in clear to the thread, and are stored as hashes", () => {
  const unread = {
    text: "Where is Ulm?",
    toolCount: 0,
    toolText: "",
    session: "key\nconversation",
    user: "ann@example.com",
    extract: false,
    keep: false,
  };
  const builder = createBatchBuilder(1 << 16);
  builder.add({ ...callEvent(1), tenant: "acme", unread });
  const [event] = [...decodeBatch(builder.take().bytes)];
  expect(event?.unread).toEqual(unread);
  const stored = event && completeEvent(event, undefined);
  expect(stored?.userHash).toBe(hashUser("acme", "ann@example.com"));
  expect(stored?.userHash).toMatch(/^[0-9a-f]{16}$/);
  expect(JSON.stringify(stored)).not.toContain("ann@example.com");
});
