/** A joined connection passes all bytes in order, and a side that does not read stops the other. */
import { expect, test } from "bun:test";
import { type Pipe, Tunnel } from "./tunnel.ts";

/** A caller's socket that takes so many bytes at a time and writes down what is asked of it. */
function createCaller(takes: () => number) {
  const received: number[] = [];
  const asked: string[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const pipe: Pipe = {
    write(bytes) {
      const taken = Math.min(takes(), bytes.length);
      received.push(...bytes.subarray(0, taken));
      return taken;
    },
    pause: () => void asked.push("pause"),
    resume: () => void asked.push("resume"),
    end: resolve,
    terminate: resolve,
  };
  return { pipe, received, asked, ended };
}

test("bytes pass both ways, and the end follows them", async () => {
  const unix = `\0routeiq-test-${crypto.randomUUID()}`;
  const { promise: whole, resolve } = Promise.withResolvers<string>();
  let text = "";
  using server = Bun.listen({
    unix,
    socket: {
      data(socket, bytes) {
        text += bytes.toString();
        if (!text.endsWith(".")) return;
        resolve(text);
        socket.write("answer");
        socket.end();
      },
    },
  });
  const caller = createCaller(() => 2);
  const tunnel = new Tunnel(caller.pipe, { unix }, Buffer.from("first "));
  tunnel.push(Buffer.from("second "));
  tunnel.push(Buffer.from("third."));
  expect(await whole).toBe("first second third.");
  while (caller.received.length < "answer".length) {
    await new Promise((next) => setImmediate(next));
    tunnel.drain(); // it takes two bytes at a time
  }
  expect(Buffer.from(caller.received).toString()).toBe("answer");
  await caller.ended;
  expect(server.unix).toBe(unix);
});

test("a server that does not read stops the caller, and goes on when it reads again", async () => {
  const unix = `\0routeiq-test-${crypto.randomUUID()}`;
  const total = 32 * 1024 * 1024;
  const { promise: opened, resolve: onOpen } = Promise.withResolvers<{ resume(): void }>();
  const { promise: all, resolve: onAll } = Promise.withResolvers<void>();
  let seen = 0;
  using _server = Bun.listen({
    unix,
    socket: {
      open(socket) {
        socket.pause();
        onOpen(socket);
      },
      data(_, bytes) {
        seen += bytes.length;
        if (seen === total) onAll();
      },
    },
  });
  const caller = createCaller(() => 1);
  const tunnel = new Tunnel(caller.pipe, { unix }, Buffer.from(""));
  const served = await opened;
  tunnel.push(Buffer.alloc(total));
  while (caller.asked.at(-1) !== "pause") await new Promise((next) => setImmediate(next));
  served.resume();
  await all;
  while (caller.asked.at(-1) !== "resume") await new Promise((next) => setImmediate(next));
  tunnel.close();
});

test("where nobody listens the caller's connection is ended", async () => {
  const caller = createCaller(() => 1);
  new Tunnel(caller.pipe, { unix: `\0routeiq-test-${crypto.randomUUID()}` }, Buffer.from("x"));
  await caller.ended;
});

test("a caller who leaves while the server reads nothing leaves no connection to it", async () => {
  const unix = `\0routeiq-test-${crypto.randomUUID()}`;
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const { promise: opened, resolve: onOpen } = Promise.withResolvers<{ resume(): void }>();
  using _server = Bun.listen({
    unix,
    socket: {
      open(socket) {
        socket.pause();
        onOpen(socket);
      },
      data: () => undefined,
      close: () => resolve(),
    },
  });
  const caller = createCaller(() => 1);
  const tunnel = new Tunnel(caller.pipe, { unix }, Buffer.alloc(32 * 1024 * 1024));
  const served = await opened;
  while (!caller.asked.includes("pause")) await new Promise((next) => setImmediate(next));
  tunnel.close();
  served.resume(); // only to hear of the end
  await closed;
});
