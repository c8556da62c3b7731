/** A peer that falls silent is asked, and let go; one that we ourselves do not read is not. */
import { expect, test } from "bun:test";
import { Duplex } from "node:stream";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import { createConnection } from "./connection.ts";

function world() {
  const clock = createVirtualClock();
  const written: Buffer[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write(bytes, _encoding, done) {
      written.push(bytes);
      done();
    },
  });
  const connection = createConnection({
    socket,
    first: new Uint8Array(0),
    protocol: undefined,
    limitBytes: 1_000_000,
    clock,
  });
  const kinds = () => written.map((bytes) => (bytes[0] ?? 0) & 0x0f);
  return { clock, socket, connection, kinds };
}

test("silence is asked about after half a minute, and ends it after a whole one", async () => {
  const { clock, connection, kinds } = world();
  await clock.advance(29_000);
  expect(kinds()).toEqual([]);
  await clock.advance(2_000);
  expect(kinds()).toEqual([9]);
  await clock.advance(31_000);
  expect(connection.ended?.code).toBe(1006);
  expect(await connection.read()).toBeUndefined();
});

test("a peer that answers lives on", async () => {
  const { clock, socket, connection, kinds } = world();
  for (let round = 0; round < 5; round++) {
    await clock.advance(31_000);
    socket.push(Buffer.from([0x8a, 0])); // pong
    await clock.advance(0);
  }
  expect(kinds()).toEqual([9, 9, 9, 9, 9]);
  expect(connection.ended).toBeUndefined();
  connection.destroy();
});

test("what waits to be read here is not the peer's silence", async () => {
  const { clock, socket, connection, kinds } = world();
  const size = 100_000;
  const message = Buffer.concat([
    Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xa0]),
    Buffer.alloc(size),
  ]);
  for (let n = 0; n < 4; n++) socket.push(message);
  await clock.advance(0);
  expect(socket.isPaused()).toBe(true);
  await clock.advance(600_000);
  expect(connection.ended).toBeUndefined();
  expect(kinds()).toEqual([]);
  for (let n = 0; n < 4; n++) expect((await connection.read())?.bytes.length).toBe(size);
  expect(socket.isPaused()).toBe(false);
  connection.destroy();
});
