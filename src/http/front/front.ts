/**
 * The gateway's port. The runtime's own server takes a third of a plain call's whole cost for what
 * such a call has no use for (a Request, a Headers, a Response, a stream); so plain calls are read
 * off the socket here, and every other connection is joined to that server, which listens on a name
 * of its own. Decision: docs/decisions/0019-front.md.
 */
import { Bag, type Placed } from "../../std/bag.ts";
import { Connection, type FrontParts, type Scratch } from "./connection.ts";

export type { FrontParts };

export interface FrontOptions extends Omit<FrontParts, "scratch"> {
  readonly hostname: string;
  /** 0: a free one. */
  readonly port: number;
  /** Several processes share the port. */
  readonly reusePort: boolean;
  /** A failure of ours in a connection's own code. */
  readonly onInternalFailure: (cause: unknown) => void;
}

export interface Front {
  readonly port: number;
  readonly hostname: string;
  /** Takes no new connection; resolves when the last one has ended. */
  stop(): Promise<void>;
  /** Ends what is left. */
  terminate(): void;
}

/** @throws Error with code EADDRINUSE */
export function listen(options: FrontOptions): Front {
  const { hostname, port, reusePort, onInternalFailure } = options;
  const scratch = Buffer.allocUnsafeSlow(scratchBytes) as Scratch;
  const parts: FrontParts = { ...options, scratch };
  const open = new Bag<Opened>();
  let whenNone: (() => void) | undefined;
  // Not among the types. `exclusive: false` alone sets no SO_REUSEPORT, whatever its name says.
  const shared: object = { reusePort };
  const listener = Bun.listen<Opened>({
    hostname,
    port,
    ...shared,
    socket: {
      open(socket) {
        socket.data = { connection: new Connection(socket, parts), socket, place: -1 };
        socket.setNoDelay(true);
        open.add(socket.data);
      },
      data: ({ data }, bytes) => data.connection.onData(bytes),
      drain: ({ data }) => data.connection.onDrain(),
      close({ data }) {
        open.remove(data);
        data.connection.onClose();
        if (open.size === 0) whenNone?.();
      },
      // A connection that breaks is closed as well; anything else is a mistake of ours.
      error(socket, error) {
        if (!isOfTheNetwork(error)) onInternalFailure(error);
        socket.terminate();
      },
    },
  });
  return {
    port: listener.port,
    hostname: listener.hostname,
    stop() {
      listener.stop();
      for (const { connection } of [...open.members]) connection.closeSoon();
      if (open.size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        whenNone = resolve;
      });
    },
    terminate() {
      for (const { socket } of [...open.members]) socket.terminate();
    },
  };
}

/** Answers beyond it are put together for themselves. */
const scratchBytes = 65_536;

interface Opened extends Placed {
  readonly connection: Connection;
  readonly socket: { terminate(): void };
}

function isOfTheNetwork(error: Error): boolean {
  return "syscall" in error || "errno" in error;
}
