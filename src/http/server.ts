/**
 * The port that the gateway answers at. On Linux plain calls are answered by `front/`, and the
 * runtime's server, which answers all else, listens on an abstract socket that only `front/` uses;
 * elsewhere there are no such sockets, and it has the port itself.
 */
import type { FetchHandler } from "./app.ts";
import { type FrontParts, listen } from "./front/front.ts";

export interface ServerOptions<D> extends Omit<FrontParts, "server" | "scratch"> {
  readonly hostname: string;
  /** 0: a free one. */
  readonly port: number;
  /** Several processes share the port. */
  readonly reusePort: boolean;
  /** Of the runtime's server: its handlers and limits. */
  readonly runtime: RuntimeOptions<D>;
  /** A failure of ours in a connection's own code. */
  readonly onInternalFailure: (cause: unknown) => void;
}

export interface RuntimeOptions<D> {
  readonly idleTimeout: number;
  readonly maxRequestBodySize: number;
  readonly fetch: FetchHandler;
  readonly websocket: Bun.WebSocketHandler<D>;
  readonly error: (thrown: Error) => Response;
}

export interface HttpServer<D> {
  /** The runtime's own, for what it alone does: WebSockets. */
  readonly runtime: Bun.Server<D>;
  readonly url: string;
  readonly port: number;
  /**
   * Lifts the runtime's idle limit for a request, which takes as long as it takes. Undefined where
   * there is no such limit, and bodies need one of ours.
   */
  readonly hold: ((request: Request) => void) | undefined;
  /** Takes no new connection; resolves when the last one has ended. */
  stop(): Promise<void>;
  /** Ends what is left. */
  terminate(): Promise<void>;
}

/** @throws Error with code EADDRINUSE */
export function startServer<D>(options: ServerOptions<D>): HttpServer<D> {
  return process.platform === "linux" ? startBehindFront(options) : startAlone(options);
}

function startAlone<D>({ hostname, port, reusePort, runtime }: ServerOptions<D>): HttpServer<D> {
  const server = Bun.serve<D>({ ...runtime, development: false, hostname, port, reusePort });
  return {
    runtime: server,
    url: server.url.origin,
    port: server.port ?? port,
    hold: (request) => server.timeout(request, 0),
    stop: () => server.stop(),
    terminate: () => server.stop(true),
  };
}

function startBehindFront<D>({ runtime, ...options }: ServerOptions<D>): HttpServer<D> {
  const { fetch, error, websocket, maxRequestBodySize } = runtime;
  const unix = `\0routeiq-${crypto.randomUUID()}`;
  const front = listen({ ...options, server: { unix } });
  // Its idle limit cannot be lifted for a single request of such a socket (Bun 1.4.5), so it has none.
  const handlers = { fetch, error, websocket, maxRequestBodySize };
  // Left out it would be ten seconds, and end streams that have nothing to say. Bun's types do not
  // know it beside `unix`.
  const endless: object = { idleTimeout: 0 };
  const server = Bun.serve<D>({ ...handlers, ...endless, development: false, unix });
  const { hostname } = options;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    runtime: server,
    url: `http://${host}:${front.port}`,
    port: front.port,
    hold: undefined,
    async stop() {
      await Promise.all([front.stop(), server.stop()]);
    },
    async terminate() {
      front.terminate();
      await server.stop(true);
    },
  };
}
