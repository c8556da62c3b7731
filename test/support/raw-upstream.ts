/** A TCP server whose connections are played by hand: what it says, and when it breaks, is the test's. */
import { createServer, type Server, type Socket } from "node:net";

export interface Peer {
  /** The next request, head and body; undefined when the client is gone. */
  request(): Promise<string | undefined>;
  /** Resolves when it is handed to the kernel. */
  say(bytes: string | Uint8Array): Promise<void>;
  /** No more is said; what the client says is still read. */
  finish(): void;
  reset(): void;
  /** How the client went: "end" in peace, "reset" otherwise. */
  readonly gone: Promise<"end" | "reset">;
  readonly socket: Socket;
  /** Counts connections from 0. */
  readonly index: number;
}

export interface RawUpstream {
  readonly port: number;
  readonly peers: readonly Peer[];
  stop(): Promise<void>;
}

export async function startRawUpstream(
  play: (peer: Peer) => Promise<void> | void,
): Promise<RawUpstream> {
  const peers: Peer[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const peer = toPeer(socket, peers.length);
    peers.push(peer);
    void Promise.resolve(play(peer)).catch(() => socket.destroy());
  });
  await listen(server);
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    peers,
    async stop() {
      for (const { socket } of peers) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const listen = (server: Server) =>
  new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

function toPeer(socket: Socket, index: number): Peer {
  let received = "";
  let ended = false;
  let wake: () => void = () => undefined;
  const gone = Promise.withResolvers<"end" | "reset">();
  const leave = (how: "end" | "reset") => {
    ended = true;
    gone.resolve(how);
    wake();
  };
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
    wake();
  });
  socket.on("end", () => leave("end"));
  socket.on("error", () => leave("reset"));
  socket.on("close", () => leave("reset"));
  return {
    index,
    socket,
    gone: gone.promise,
    async request() {
      for (;;) {
        const size = sizeOf(received);
        if (size > 0) {
          const request = received.slice(0, size);
          received = received.slice(size);
          return request;
        }
        if (ended) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    say: (bytes) =>
      new Promise((resolve) => {
        if (bytes.length === 0 || socket.destroyed) resolve();
        else
          socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, () =>
            resolve(),
          );
      }),
    finish: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  };
}

/** Of the first whole request; 0 where it has not come yet. */
function sizeOf(text: string): number {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return 0;
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
  return text.length >= head + 4 + length ? head + 4 + length : 0;
}
