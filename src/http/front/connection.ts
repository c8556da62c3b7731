/**
 * One connection of a caller: plain calls are read off it and answered straight through the
 * pipeline, one after the other; at the first request that is anything else the connection is joined
 * to the runtime's own server and stays there.
 */
import { isAscii } from "node:buffer";
import { STATUS_CODES } from "node:http";
import { GatewayError } from "../../domain/errors.ts";
import { CallFailed, handle } from "../../pipeline/handle.ts";
import type { ReceivedBody } from "../../pipeline/read-call.ts";
import { isWhole, type Reply, type ReplyStream, type WholeBody } from "../../pipeline/reply.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Expiring } from "../../std/expiry.ts";
import type { CallRoute } from "../call-route.ts";
import { internalFailure, toErrorResponse } from "../errors.ts";
import type { HeadWriter } from "../headers.ts";
import { moreHeaderLines, wantsMore } from "../more-headers.ts";
import { receiveLimits } from "../read-body.ts";
import { PlainArrival } from "./arrival.ts";
import { CallerHangUp } from "./caller-hang-up.ts";
import { type Head, HeadReader, mayEnd } from "./head.ts";
import { type Pipe, Tunnel } from "./tunnel.ts";

/** As much of a socket as a connection needs; what Bun's are. */
export interface CallerSocket extends Omit<Pipe, "write"> {
  write(data: Uint8Array | string, byteOffset?: number, byteLength?: number): number;
}

export interface FrontParts {
  readonly services: () => Services;
  /** The routes whose calls are plain; the rest is the other server's. */
  readonly findRoute: (path: string) => CallRoute | undefined;
  readonly writeHead: HeadWriter;
  /** Where the runtime's own server listens. */
  readonly server: { readonly unix: string };
  /** What is written is put together here, and copied by the socket: an allocation costs more. */
  readonly scratch: Scratch;
}

/** What a buffer can do that the types do not know: it costs a third of `write` with its encoding. */
export type Scratch = Buffer & { latin1Write(text: string, at: number): number };

/** A head beyond it, or bytes of a next request while one is answered, wait or go to the other server. */
const headLimitBytes = 16_384;
/** A connection without a request is let go after this. */
const idleMs = 300_000;

export class Connection implements Expiring {
  place = -1;
  dueMs: number;
  readonly #socket: CallerSocket;
  readonly #parts: FrontParts;
  #state: "idle" | "head" | "body" | "busy" | "tunnel" | "closed" = "idle";
  /** Received and not used yet. */
  #pending: Buffer | undefined;
  #paused = false;
  readonly #heads = new HeadReader();
  #head: Head | undefined;
  #route: CallRoute | undefined;
  #pieces: Buffer[] = [];
  #received = 0;
  #bodyFromMs = 0;
  #tunnel: Tunnel | undefined;
  readonly #hangUp = new CallerHangUp();
  #stream: ReplyStream | undefined;
  /** Written, and not taken by the socket yet. */
  #unsent: Uint8Array[] = [];
  #whenSent: (() => void) | undefined;
  #closing = false;

  constructor(socket: CallerSocket, parts: FrontParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.dueMs = this.#services.clock.now() + this.#receiveMs;
    this.#services.expiry.add(this);
  }

  onData(bytes: Buffer): void {
    switch (this.#state) {
      case "tunnel":
        this.#tunnel?.push(bytes);
        return;
      case "body":
        this.#takeBody(bytes);
        return;
      case "busy":
        this.#hold(bytes);
        return;
      case "idle":
      case "head":
        this.#begin(this.#pending ? Buffer.concat([this.#pending, bytes]) : bytes);
    }
  }

  /** The socket takes bytes again. */
  onDrain(): void {
    if (this.#tunnel) this.#tunnel.drain();
    else this.#flush();
  }

  /** The caller has gone, or stopped sending, which no caller does that still waits. */
  onClose(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#services.expiry.remove(this);
    this.#tunnel?.close();
    this.#hangUp.fire();
    this.#stream?.cancel("gone");
    this.#unsent = [];
    this.#whenSent?.();
  }

  expire(): void {
    const receiving = this.#state === "head" || this.#state === "body";
    if (receiving) {
      this.#refuseLate();
      return;
    }
    this.#stream?.cancel("stalled");
    this.#socket.terminate();
    this.onClose();
  }

  /** After the answer that is under way, or at once where there is none. */
  closeSoon(): void {
    this.#closing = true;
    if (this.#state === "idle" || this.#state === "head") this.#socket.end();
  }

  /** A request's first bytes, or more of them. */
  #begin(bytes: Buffer): void {
    this.#pending = undefined;
    // Latin-1 has a character for every byte: what stands where in the text does in the bytes.
    const text = bytes.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end < 0 && bytes.length <= headLimitBytes && mayEnd(bytes)) {
      if (this.#state === "idle") this.#expireIn(this.#receiveMs);
      this.#state = "head";
      this.#pending = bytes;
      return;
    }
    const isHead = end >= 0 && end <= headLimitBytes;
    const head = isHead ? this.#heads.read(text.slice(0, end)) : undefined;
    const services = this.#parts.services();
    const route = head && this.#parts.findRoute(head.path);
    if (!route || !isPlain(head, services)) this.#handOver(bytes);
    else this.#receive(head, route, bytes, end + 4, text);
  }

  #receive(head: Head, route: CallRoute, bytes: Buffer, from: number, text: string): void {
    this.#head = head;
    this.#route = route;
    if (bytes.length - from >= head.bodyLength) {
      const end = from + head.bodyLength;
      if (bytes.length > end) this.#hold(bytes.subarray(end));
      this.#run(isAscii(bytes) ? text.slice(from, end) : bytes.subarray(from, end));
      return;
    }
    this.#state = "body";
    this.#bodyFromMs = this.#services.clock.now();
    this.#received = 0;
    this.#takeBody(bytes.subarray(from));
  }

  #takeBody(bytes: Buffer): void {
    const length = this.#head?.bodyLength ?? 0;
    this.#pieces.push(bytes);
    this.#received += bytes.length;
    if (this.#received >= length) {
      const whole = Buffer.concat(this.#pieces);
      this.#pieces = [];
      if (whole.length > length) this.#hold(whole.subarray(length));
      this.#run(whole.length > length ? whole.subarray(0, length) : whole);
      return;
    }
    // A deadline that grows with what has come: the rate that a body must keep.
    const allowedMs = this.#receiveMs + this.#received / receiveLimits.minBytesPerMs;
    this.#expireIn(this.#bodyFromMs + allowedMs - this.#services.clock.now());
  }

  /** A request is whole. */
  #run(body: ReceivedBody): void {
    const head = this.#head;
    const route = this.#route;
    if (!head || !route) return;
    this.#state = "busy";
    this.dueMs = Number.POSITIVE_INFINITY;
    if (head.close) this.#closing = true;
    const arrival = new PlainArrival(head, body, route, this.#parts.services(), this.#hangUp);
    this.#answer(arrival, route).catch(this.#onFailure);
  }

  readonly #onFailure = (thrown: unknown): void => {
    this.#services.onInternalFailure(thrown);
    this.#socket.terminate(); // part of an answer may be out
  };

  async #answer(arrival: PlainArrival, route: CallRoute): Promise<void> {
    const { services } = arrival;
    let reply: Reply;
    try {
      reply = await handle(arrival, services);
    } catch (thrown) {
      await this.#writeResponse(this.#toFailure(thrown, arrival, route));
      this.#next();
      return;
    }
    const { body } = reply;
    let head = this.#parts.writeHead(reply, services, this.#closing);
    if (wantsMore(services)) head += moreHeaderLines(reply.record, services);
    if (isWhole(body)) this.#writeWhole(head, body);
    else await this.#writeStream(head, body);
    // A caller that does not read gets no second answer.
    if (this.#unsent.length > 0) await this.#sent();
    this.#next();
  }

  #toFailure(thrown: unknown, arrival: PlainArrival, route: CallRoute): Response {
    const { services } = arrival;
    const dialect = services.getDialect(route.dialect);
    if (thrown instanceof CallFailed) return toErrorResponse(thrown, arrival, dialect, services);
    services.onInternalFailure(thrown);
    return internalFailure(dialect);
  }

  #writeWhole(head: string, body: WholeBody): void {
    if (typeof body === "string") {
      const length = Buffer.byteLength(body);
      this.#write(`${head}content-length: ${length}\r\n\r\n${body}`);
      return;
    }
    const bytes = body instanceof ArrayBuffer ? new Uint8Array(body) : body;
    const start = `${head}content-length: ${bytes.length}\r\n\r\n`;
    this.#writeJoined(start, bytes, "");
  }

  /** Bytes between two texts of ASCII, in one write. */
  #writeJoined(before: string, bytes: Uint8Array, after: string): void {
    const length = before.length + bytes.length + after.length;
    const { scratch } = this.#parts;
    const fits = length <= scratch.length && this.#unsent.length === 0;
    const into = fits ? scratch : (Buffer.allocUnsafeSlow(length) as Scratch);
    into.latin1Write(before, 0);
    into.set(bytes, before.length);
    if (after !== "") into.latin1Write(after, before.length + bytes.length);
    if (!fits) {
      this.#write(into);
      return;
    }
    if (this.#state === "closed") return;
    const taken = Math.max(0, this.#socket.write(into, 0, length));
    if (taken < length) this.#unsent.push(Buffer.from(into.subarray(taken, length)));
  }

  async #writeStream(head: string, stream: ReplyStream): Promise<void> {
    this.#stream = stream;
    let start = `${head}transfer-encoding: chunked\r\n\r\n`;
    for (;;) {
      const bytes = await stream.next();
      if (this.#state === "closed") return;
      if (!bytes) break;
      if (bytes.length === 0) continue;
      // The chunked coding, RFC 9112 §7.1.
      this.#writeJoined(`${start}${bytes.length.toString(16)}\r\n`, bytes, "\r\n");
      start = "";
      if (this.#unsent.length > 0) await this.#sent();
    }
    this.#stream = undefined;
    this.#write(`${start}0\r\n\r\n`);
  }

  async #writeResponse(response: Response): Promise<void> {
    const { status, headers } = response;
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
    for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
    if (this.#closing) head += "connection: close\r\n";
    this.#writeWhole(head, await response.text());
  }

  /** The request is answered: the next one, if it has come, else a rest. */
  #next(): void {
    if (this.#state === "closed") return;
    if (this.#closing) {
      this.#socket.end();
      return;
    }
    this.#state = "idle";
    this.#head = undefined;
    this.#hangUp.forget();
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    const pending = this.#pending;
    if (pending) this.#begin(pending);
    else this.#rest();
  }

  #rest(): void {
    this.#expireIn(idleMs);
  }

  #expireIn(delayMs: number): void {
    this.dueMs = this.#services.clock.now() + Math.max(0, delayMs);
    this.#services.expiry.sooner(this);
  }

  /** Those in force: a connection outlives configurations. */
  get #services(): Services {
    return this.#parts.services();
  }

  get #receiveMs(): number {
    return this.#services.config.routeiq.timeouts.receiveMs;
  }

  /** Bytes of a next request, kept while this one is answered. Beyond a limit the socket is not read. */
  #hold(bytes: Buffer): void {
    this.#pending = this.#pending ? Buffer.concat([this.#pending, bytes]) : bytes;
    if (this.#pending.length < headLimitBytes || this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #handOver(bytes: Buffer): void {
    this.#state = "tunnel";
    this.#services.expiry.remove(this);
    this.#tunnel = new Tunnel(this.#socket, this.#parts.server, bytes);
  }

  #refuseLate(): void {
    const error = new GatewayError(
      "request_timeout",
      `The request did not come in time: the limit is ${this.#receiveMs} ms and what its length needs. Send it faster, or raise routeiq_settings.timeouts.receive_ms.`,
    );
    const services = this.#services;
    const id = Bun.randomUUIDv7();
    const dialect = services.getDialect(this.#route?.dialect ?? "openai-chat");
    const failure = new CallFailed(error, undefined);
    const response = toErrorResponse(failure, { id, requestId: id }, dialect, services);
    this.#closing = true;
    this.#state = "busy";
    this.#writeResponse(response).then(
      () => this.#socket.end(),
      () => this.#socket.terminate(),
    );
  }

  #write(data: Uint8Array | string): void {
    if (this.#state === "closed") return;
    if (this.#unsent.length > 0) {
      this.#unsent.push(typeof data === "string" ? Buffer.from(data) : data);
      return;
    }
    const taken = Math.max(0, this.#socket.write(data));
    // A text of ASCII alone, as most are, has as many bytes as characters.
    if (taken >= data.length && (typeof data !== "string" || taken >= Buffer.byteLength(data)))
      return;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    this.#unsent.push(bytes.subarray(taken));
  }

  #flush(): void {
    for (let bytes = this.#unsent[0]; bytes; bytes = this.#unsent[0]) {
      const taken = Math.max(0, this.#socket.write(bytes));
      if (taken < bytes.length) {
        this.#unsent[0] = bytes.subarray(taken);
        return;
      }
      this.#unsent.shift();
    }
    this.#whenSent?.();
  }

  /** Resolves when the socket has taken all, or is gone; a caller that does not read is let go. */
  async #sent(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenSent = resolve;
    this.#expireIn(this.#services.config.routeiq.timeouts.writeStallMs);
    await promise;
    this.#whenSent = undefined;
    this.dueMs = Number.POSITIVE_INFINITY;
  }
}

/** What the operator has put before a path, and a body over the limit, are the other server's. */
function isPlain({ path, bodyLength }: Head, services: Services): boolean {
  const { config, passThrough } = services;
  if (bodyLength === 0 || bodyLength > config.routeiq.bodyLimitBytes) return false;
  return passThrough.findEndpoint?.(path) === undefined;
}
