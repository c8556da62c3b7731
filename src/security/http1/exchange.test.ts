/** Answers in pieces, without sockets: whatever the pieces, the same is read. */
import { describe, expect, test } from "bun:test";
import {
  type Answer,
  cutShort,
  refused,
  understood,
} from "../../../test/conformance/http1-answers.ts";
import { Cancel } from "../../std/cancel.ts";
import { toDestination } from "../destination.ts";
import type { OutboundReply } from "../reply.ts";
import type { Connection } from "./connection.ts";
import { Exchange } from "./exchange.ts";

type Outcome =
  | { readonly status: number; readonly body: string; readonly headers: Headers; kept: boolean }
  | { readonly refused: string };

/** Plays pieces to an exchange, on a connection that only notes what becomes of it. */
async function play(answer: Answer, pieces: readonly Uint8Array[]): Promise<Outcome> {
  const exchange = new Exchange(
    toDestination({
      url: "http://upstream.test/",
      method: answer.method ?? "POST",
      headers: {},
      trust: "operator",
    }),
    ...(["", "", new Cancel(), 1000] as const),
  );
  let kept: boolean | undefined;
  const connection = {
    exchange,
    release: () => (kept = true),
    retire: () => (kept = false),
    destroy: () => (kept = false),
    pause: () => undefined,
    resume: () => undefined,
  };
  exchange.connection = connection as unknown as Connection;
  const reading = read(exchange.wait());
  for (const piece of pieces) if (exchange.connection) exchange.take(Uint8Array.from(piece));
  // What comes after an answer's end spoils the connection that carried it.
  const over = exchange.connection === undefined;
  if (!over && answer.closes) exchange.end();
  else if (!over) exchange.fail(new Error("cut"));
  const outcome = await reading;
  return "refused" in outcome ? outcome : { ...outcome, kept: kept === true };
}

async function read(wait: Promise<OutboundReply>): Promise<Outcome> {
  try {
    const reply = await wait;
    const bytes = await reply.whole(1e9, "refuse");
    const body = new TextDecoder("latin1").decode(bytes);
    return { status: reply.status, body, headers: reply.headers(), kept: false };
  } catch (thrown) {
    return { refused: String(thrown) };
  }
}

function check(answer: Answer, outcome: Outcome): void {
  const expected = answer.read;
  if (!expected) {
    expect(outcome).toHaveProperty("refused");
    return;
  }
  if ("refused" in outcome) throw new Error(outcome.refused);
  expect(outcome).toMatchObject({ status: expected.status, body: expected.body });
  for (const [name, value] of Object.entries(expected.headers ?? {})) {
    expect(outcome.headers.get(name)).toBe(value);
  }
}

const bytesOf = (wire: string) => Buffer.from(wire, "latin1");

describe.each([...understood, ...refused, ...cutShort])("$name", (answer) => {
  const wire = bytesOf(answer.wire);

  test("in one piece", async () => {
    const outcome = await play(answer, [wire]);
    check(answer, outcome);
    if (answer.kept !== undefined) expect(outcome).toMatchObject({ kept: answer.kept });
  });

  test("split in two at every position", async () => {
    const step = Math.max(1, Math.floor(wire.length / (wire.length > 10_000 ? 20 : 500)));
    for (let at = 1; at < wire.length; at += step) {
      check(answer, await play(answer, [wire.subarray(0, at), wire.subarray(at)]));
    }
  });

  test("byte by byte", async () => {
    const size = Math.max(1, Math.floor(wire.length / 1000));
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < wire.length; at += size) pieces.push(wire.subarray(at, at + size));
    check(answer, await play(answer, pieces));
  });
});
