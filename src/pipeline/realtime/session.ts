/**
 * The life of a realtime session: a call like any other until a provider has opened it, with the same
 * keys, routing, retries and fallbacks; then messages both ways until one side ends it, and one
 * receipt for all that it used.
 */
import { dialects } from "../../dialects/registry.ts";
import type { Call } from "../../domain/call.ts";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import type { Deployment } from "../../domain/model.ts";
import type { Usage } from "../../domain/usage.ts";
import type { StreamReply, UpstreamRequest } from "../../providers/client.ts";
import { type OpenedSession, openRealtime } from "../../providers/realtime.ts";
import type { SocketMessage, WebSocketConnection } from "../../security/web-socket/connection.ts";
import { createDeadline } from "../../std/deadline.ts";
import { drainingError } from "../activity.ts";
import { fail, run } from "../handle.ts";
import type { Arrival } from "../read-call.ts";
import type { CallRecord } from "../record.ts";
import { isWhole, type Reply } from "../reply.ts";
import type { Services } from "../services.ts";
import { admitEvent } from "./caller-events.ts";
import { createRealtimeMeter, type RealtimeMeter } from "./meter.ts";
import { assertSessionTools } from "./session-tools.ts";

export interface RealtimeArrival
  extends Pick<Arrival, "id" | "requestId" | "headers" | "signal" | "atMs" | "atUs"> {
  readonly model: string | undefined;
  readonly intent: string | undefined;
  /** Headers that go on to the provider. */
  readonly sent: Readonly<Record<string, string>>;
}

export interface RealtimeSession {
  readonly record: CallRecord;
  /** The provider's next message; undefined at the end. @throws GatewayError where it broke off */
  next(): Promise<SocketMessage | undefined>;
  /** False: hold back until `drained`. @throws GatewayError for what the caller may not say */
  send(message: string | Uint8Array): boolean;
  drained(): Promise<void>;
  /** The caller has ended it, or (`gone`, `stalled`) is not there any more. */
  end(code: number, reason: string): void;
  abandon(reason: "gone" | "stalled"): void;
  /** What the caller's connection is to be closed with. */
  readonly closing: { readonly code: number; readonly reason: string };
}

/** @throws CallFailed */
export async function openSession(
  arrival: RealtimeArrival,
  services: Services,
): Promise<RealtimeSession> {
  const call = readArrival(arrival, services);
  const line = new Line(arrival, call, services);
  const client = { ...services.client, send: line.open };
  const reply = await run(call, { ...services, client });
  return line.toSession(reply);
}

/** @throws CallFailed */
function readArrival(arrival: RealtimeArrival, services: Services): Call {
  try {
    if (services.activity.draining) throw drainingError();
    const caller = services.authenticator.authenticate(arrival.headers);
    return toCall(arrival, caller, services);
  } catch (thrown) {
    throw fail(toGatewayError(thrown), { operation: "realtime" }, undefined, services);
  }
}

/** Beyond the session's own limit, which ends it kindly. */
const graceMs = 60_000;

function toCall(
  { id, requestId, model, headers, signal, atMs, atUs }: RealtimeArrival,
  caller: Call["caller"],
  { config, table }: Services,
): Call {
  const requestedModel =
    model ?? table.deployments.find(({ operation }) => operation === "realtime")?.group;
  if (requestedModel === undefined || requestedModel.length > 512) {
    const message =
      "Name the model in the address: /v1/realtime?model=… GET /v1/models lists them.";
    throw new GatewayError("invalid_request", message, { param: "model" });
  }
  return {
    id,
    requestId,
    operation: "realtime",
    dialect: "openai-chat",
    caller,
    requestedModel,
    stream: false,
    text: "",
    body: {},
    headers,
    signal,
    startedAtMs: atMs,
    startedUs: atUs,
    options: { timeoutMs: config.routeiq.realtime.maxSessionMs + graceMs },
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Between a session and the attempt that opened it. Mutable; one per session. */
class Line {
  readonly #arrival: RealtimeArrival;
  readonly #call: Call;
  readonly #services: Services;
  readonly #meter: RealtimeMeter;
  /** Messages in the order in which their bytes pass. */
  readonly #passing: (SocketMessage | undefined)[] = [];
  #connection: WebSocketConnection | undefined;
  #deployment: Deployment | undefined;
  #closing = { code: 1000, reason: "" };
  #endedHere = false;

  constructor(arrival: RealtimeArrival, call: Call, services: Services) {
    this.#arrival = arrival;
    this.#call = call;
    this.#services = services;
    this.#meter = createRealtimeMeter(arrival.intent === "transcription");
  }

  /** Stands in for the provider client's `send`: the retry loop opens sessions as it sends calls. */
  readonly open = async (request: UpstreamRequest): Promise<StreamReply> => {
    const { deployment, cancel, connectTimeoutMs } = request;
    const { intent, sent } = this.#arrival;
    const how = { deployment, signal: cancel.signal, connectTimeoutMs, headers: sent, intent };
    const opened = await openAt(how, this.#services);
    this.#connection = opened.connection;
    this.#deployment = deployment;
    let reason: Error | undefined;
    cancel.listen((why) => {
      reason = why;
      opened.connection.close(1001, "going away");
    });
    // The attempt's record holds this object: it is filled in before the record is closed.
    const usage: Mutable<Usage> = { inputTokens: 0, outputTokens: 0 };
    let first: SocketMessage | "none" | undefined = opened.first ?? "none";
    return {
      kind: "stream",
      dialect: dialects["openai-chat"],
      passes: true,
      opaque: { contentType: "", usage },
      read: async () => {
        if (first === "none") {
          first = undefined;
          return this.#pass(undefined); // opened: that is what the attempt waits for
        }
        const message = first ?? (await opened.connection.read());
        first = undefined;
        if (reason) throw toGatewayError(reason);
        if (message) return this.#pass(message);
        this.#conclude(opened.connection);
        return undefined;
      },
      close: () => {
        opened.connection.close(1000);
        Object.assign(usage, this.#meter.usage(true), this.#unitsFor(deployment));
      },
    };
  };

  #pass(message: SocketMessage | undefined): Uint8Array {
    this.#passing.push(message);
    if (!message) return new Uint8Array(0);
    if (message.text) this.#meter.see(message.bytes);
    return message.bytes;
  }

  /** Models that are sold by time are so by the session's. */
  #unitsFor({ facts }: Deployment): Pick<Usage, "units"> {
    if (!facts.price?.more?.noTokens) return {};
    const { clock } = this.#services;
    return { units: { seconds: (clock.now() - this.#call.startedAtMs) / 1000 } };
  }

  /** @throws GatewayError where the provider did not mean to end it */
  #conclude({ ended }: WebSocketConnection): void {
    if (this.#endedHere || !ended) return;
    const { code, reason } = ended;
    this.#closing = { code: code === 1005 ? 1000 : code, reason };
    if (code === 1000 || code === 1001 || code === 1005 || code >= 3000) return;
    const why = reason === "" ? "" : `: ${reason.slice(0, 200)}`;
    const message = `The provider's connection ended with ${code}${why}.`;
    throw new GatewayError("stream_truncated", message);
  }

  toSession({ record, body: stream }: Reply): RealtimeSession {
    if (isWhole(stream)) throw new Error("a session is no whole reply");
    const { clock, config } = this.#services;
    const { idleMs, maxSessionMs } = config.routeiq.realtime;
    const end = (code: number, reason: string) => {
      this.#endedHere = true;
      this.#closing = { code, reason };
      this.#connection?.close(code, reason);
    };
    const idle = createDeadline(clock, () => end(1000, "idle for too long"));
    const cancelLimit = clock.after(maxSessionMs, () => end(1000, "the session's time is over"));
    const stop = () => {
      idle.clear();
      cancelLimit();
    };
    idle.set(idleMs);
    record.firstTokenMs ??= clock.now() - this.#call.startedAtMs;
    const line = this;
    return {
      record,
      get closing() {
        return line.#closing;
      },
      async next() {
        try {
          for (;;) {
            const bytes = await stream.next();
            if (!bytes) {
              stop();
              return undefined;
            }
            idle.set(idleMs);
            const message = line.#passing.shift();
            if (message) return message;
          }
        } catch (thrown) {
          stop();
          throw thrown;
        }
      },
      send(message) {
        idle.set(idleMs);
        return line.#send(message);
      },
      drained: () => this.#connection?.drained() ?? Promise.resolve(),
      end(code, reason) {
        stop();
        end(code, reason);
      },
      abandon(reason) {
        stop();
        stream.cancel(reason);
      },
    };
  }

  #send(message: string | Uint8Array): boolean {
    const connection = this.#connection;
    const deployment = this.#deployment;
    if (!connection || !deployment) return true;
    if (typeof message !== "string") return connection.send({ text: false, bytes: message });
    assertSessionTools(message, this.#call.caller, this.#services);
    const model = {
      requested: this.#call.requestedModel,
      deployment,
      ofTranscripts: this.#arrival.intent === "transcription",
    };
    return connection.send({ text: true, bytes: Buffer.from(admitEvent(message, model)) });
  }
}

export interface Opening {
  readonly deployment: Deployment;
  readonly headers: Readonly<Record<string, string>>;
  readonly intent: string | undefined;
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
}

/** A session at one deployment. @throws GatewayError */
export async function openAt(
  { deployment, intent, ...how }: Opening,
  services: Services,
): Promise<OpenedSession> {
  const { client, config, clock, webSockets } = services;
  if (!webSockets) {
    throw new GatewayError("unsupported_capability", "This gateway opens no WebSockets.");
  }
  const located = await client.locate(deployment, "realtime", how.signal);
  const request = {
    ...how,
    located,
    ...(intent === undefined ? {} : { intent }),
    limitBytes: config.routeiq.realtime.maxMessageBytes,
    answerTimeoutMs: answerLimit(deployment, services),
  };
  return openRealtime(request, { webSockets, clock });
}

/** LiteLLM's `timeout` of a model bounds the opening; nobody means to cut conversations with it. */
function answerLimit(deployment: Deployment, { config }: Services): number {
  return (
    deployment.timeoutMs ??
    config.router.timeoutMs ??
    config.litellm.requestTimeoutMs ??
    config.routeiq.timeouts.firstTokenMs
  );
}
