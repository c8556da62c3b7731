/**
 * TCP between the gateway and an upstream, with faults: refuse, reset, hang, slice, corrupt, delay, or
 * say something else. A fault is chosen for each request, also on a connection that is kept alive.
 */
import type { Socket } from "bun";

export type Fault =
  /** Nothing is changed. */
  | { readonly kind: "none" }
  /** Reset as soon as a request comes. */
  | { readonly kind: "refuse" }
  /** The request is taken, and nothing ever answered. */
  | { readonly kind: "blackhole" }
  /** So many bytes of the answer, then a reset, an orderly end, or silence. */
  | { readonly kind: "reset" | "end" | "hang"; readonly afterBytes: number }
  /** The answer in pieces of so many bytes, a write each. */
  | { readonly kind: "slices"; readonly bytes: number }
  /** The answer, each byte of its body that `at` says turned to 0xff. */
  | { readonly kind: "corrupt"; readonly at: (offset: number) => boolean }
  /** The answer, so much later. */
  | { readonly kind: "late"; readonly ms: number }
  /** These bytes instead; the upstream is not asked. */
  | { readonly kind: "say"; readonly bytes: string | Uint8Array; readonly thenClose?: boolean };

export interface FaultProxy {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** Requests that came, whatever became of them. */
  readonly requests: number;
  /** Connections of the gateway that are open. */
  readonly open: number;
  /** Resolves when no more than so many are. */
  untilOpen(most: number): Promise<void>;
  /** What the requests from now on meet. */
  set(choose: (request: number) => Fault): void;
  /** No connection comes about any more, or again. */
  setDown(down: boolean): void;
  close(): void;
}

interface Link {
  client: Socket<Link>;
  upstream: Socket<Link> | undefined;
  /** For the upstream, while its connection is made. */
  waiting: Uint8Array[];
  /** For either side, while it takes no more. */
  readonly blocked: Map<Socket<Link>, Uint8Array[]>;
  fault: Fault;
  /** Bytes of the answer that have come. */
  answered: number;
  /** Where its body begins; -1 until known. */
  bodyAt: number;
  over: boolean;
}

export function startFaultProxy(upstream: string): FaultProxy {
  const { hostname, port } = new URL(upstream);
  const links = new Set<Link>();
  const watchers: { readonly most: number; readonly resolve: () => void }[] = [];
  let choose: (request: number) => Fault = () => ({ kind: "none" });
  let requests = 0;
  let down = false;

  const listener = Bun.listen<Link>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(client) {
        if (down) {
          client.terminate();
          return;
        }
        client.setNoDelay(true);
        const link = createLink(client);
        client.data = link;
        links.add(link);
      },
      data(client, bytes) {
        const link = client.data;
        if (!link || link.over) return;
        if (beginsRequest(bytes)) {
          link.fault = choose(requests++);
          link.answered = 0;
          link.bodyAt = -1;
        }
        if (onRequest(link, bytes)) toUpstream(link, bytes, { hostname, port: Number(port) });
      },
      drain: (client) => flush(client.data, client),
      close(client) {
        const link = client.data;
        if (!link) return;
        links.delete(link);
        link.over = true;
        link.upstream?.terminate();
        for (const { most, resolve } of watchers) if (links.size <= most) resolve();
      },
      error: () => undefined,
    },
  });

  return {
    url: `http://127.0.0.1:${listener.port}`,
    get requests() {
      return requests;
    },
    get open() {
      return links.size;
    },
    untilOpen(most) {
      if (links.size <= most) return Promise.resolve();
      return new Promise((resolve) => watchers.push({ most, resolve }));
    },
    set(next) {
      choose = next;
    },
    setDown(next) {
      down = next;
      if (down) for (const { client } of [...links]) client.terminate();
    },
    close: () => listener.stop(true),
  };
}

function createLink(client: Socket<Link>): Link {
  return {
    client,
    upstream: undefined,
    waiting: [],
    blocked: new Map(),
    fault: { kind: "none" },
    answered: 0,
    bodyAt: -1,
    over: false,
  };
}

/** The gateway does not pipeline: a chunk that begins so is a request's head. */
function beginsRequest(bytes: Uint8Array): boolean {
  return /^(POST|GET|PUT|PATCH|DELETE) /.test(Buffer.from(bytes.subarray(0, 8)).toString("latin1"));
}

/** Whether the request is handed on. */
function onRequest(link: Link, bytes: Uint8Array): boolean {
  const { fault, client } = link;
  if (fault.kind === "refuse") client.terminate();
  if (fault.kind === "say" && beginsRequest(bytes)) {
    send(link, client, Buffer.from(fault.bytes));
    if (fault.thenClose) client.end();
  }
  return fault.kind !== "refuse" && fault.kind !== "blackhole" && fault.kind !== "say";
}

function toUpstream(
  link: Link,
  bytes: Uint8Array,
  address: { readonly hostname: string; readonly port: number },
): void {
  if (link.upstream) {
    send(link, link.upstream, bytes);
    return;
  }
  link.waiting.push(Uint8Array.from(bytes));
  if (link.waiting.length > 1) return; // the connection is being made
  void Bun.connect<Link>({
    ...address,
    data: link,
    socket: {
      open(socket) {
        if (link.over) {
          socket.terminate();
          return;
        }
        link.upstream = socket;
        socket.setNoDelay(true);
        for (const piece of link.waiting.splice(0)) send(link, socket, piece);
      },
      data: (_, answer) => onAnswer(link, Uint8Array.from(answer)),
      drain: (socket) => flush(link, socket),
      close() {
        link.upstream = undefined;
        if (!link.over && link.fault.kind !== "hang") link.client.end();
      },
      error: () => undefined,
    },
  }).catch(() => link.client.terminate());
}

function onAnswer(link: Link, bytes: Uint8Array): void {
  const { fault, client } = link;
  if (link.over) return;
  const from = link.answered;
  link.answered += bytes.length;
  if (fault.kind === "late") {
    setTimeout(() => send(link, client, bytes), fault.ms);
    return;
  }
  if (fault.kind === "slices") {
    for (let at = 0; at < bytes.length; at += fault.bytes) {
      sendSlowly(link, bytes.subarray(at, at + fault.bytes));
    }
    return;
  }
  if (fault.kind === "corrupt") {
    corrupt(link, bytes, from, fault.at);
    send(link, client, bytes);
    return;
  }
  if (fault.kind !== "reset" && fault.kind !== "end" && fault.kind !== "hang") {
    send(link, client, bytes);
    return;
  }
  if (from < fault.afterBytes) send(link, client, bytes.subarray(0, fault.afterBytes - from));
  if (link.answered < fault.afterBytes) return;
  link.upstream?.terminate();
  if (fault.kind === "reset") client.terminate();
  if (fault.kind === "end") client.end();
}

/** Of the body alone: a broken head is another fault. */
function corrupt(
  link: Link,
  bytes: Uint8Array,
  from: number,
  at: (offset: number) => boolean,
): void {
  if (link.bodyAt < 0) {
    const head = Buffer.from(bytes).indexOf("\r\n\r\n");
    if (head < 0) return;
    link.bodyAt = from + head + 4;
  }
  for (let i = Math.max(0, link.bodyAt - from); i < bytes.length; i++) {
    if (at(from + i - link.bodyAt)) bytes[i] = 0xff;
  }
}

/** A piece per turn of the loop, in order, so that each is a read of its own on the other side. */
function sendSlowly(link: Link, piece: Uint8Array): void {
  const queue = link.blocked.get(link.client);
  if (queue) {
    queue.push(piece);
    return;
  }
  const left = [piece];
  link.blocked.set(link.client, left);
  const next = () => {
    const one = left.shift();
    if (!one || link.over) {
      link.blocked.delete(link.client);
      return;
    }
    link.client.write(one);
    setImmediate(next);
  };
  setImmediate(next);
}

function send(link: Link, socket: Socket<Link>, bytes: Uint8Array): void {
  const queue = link.blocked.get(socket);
  if (queue) {
    queue.push(Uint8Array.from(bytes));
    return;
  }
  const written = Math.max(0, socket.write(bytes));
  if (written < bytes.length) link.blocked.set(socket, [Uint8Array.from(bytes.subarray(written))]);
}

function flush(link: Link | undefined, socket: Socket<Link>): void {
  const queue = link?.blocked.get(socket);
  if (!link || !queue || link.fault.kind === "slices") return;
  link.blocked.delete(socket);
  let left = queue;
  for (let piece = left[0]; piece; piece = left[0]) {
    const written = Math.max(0, socket.write(piece));
    left = written < piece.length ? [piece.subarray(written), ...left.slice(1)] : left.slice(1);
    if (written < piece.length) break;
  }
  if (left.length > 0) link.blocked.set(socket, left);
}

/** An answer as its bytes, with or without a length. */
export function answerBytes(
  contentType: string,
  body: string | Uint8Array,
  { status = 200, headers = [] as readonly string[], close = false } = {},
): Uint8Array {
  const content = Buffer.from(body);
  const lines = [
    `HTTP/1.1 ${status} Whatever`,
    `Content-Type: ${contentType}`,
    ...(close ? ["Connection: close"] : [`Content-Length: ${content.length}`]),
    ...headers,
  ];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), content]);
}
