/**
 * How to speak with an agent that stands elsewhere: where its endpoint is and which revision it
 * speaks, by its card; requests and answers within limits of time and size.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Outbound, Trust } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import { parseSse } from "../../std/sse.ts";
import type { UpstreamTarget } from "./agent.ts";
import { assertSigned } from "./card-signature.ts";
import { A2aError, kindOfCode } from "./errors.ts";
import { objectAt, objectsOf, textAt, type Version } from "./wire.ts";

export const peerLimits = {
  cardBytes: 512 * 1024,
  cardMs: 10_000,
  /** A card is asked for anew after that. */
  cardKeptMs: 300_000,
  answerBytes: 16 * 1024 * 1024,
  streamBytes: 64 * 1024 * 1024,
  eventBytes: 8 * 1024 * 1024,
  peers: 1_000,
} as const;

export interface Peer {
  readonly endpoint: string;
  readonly trust: Trust;
  readonly version: Version;
  readonly card: JsonObject;
}

export interface Peers {
  /** @throws A2aError invalidAgentResponse for a card that is none; GatewayError from outbound */
  find(target: UpstreamTarget, given: JsonObject): Promise<Peer>;
  call(target: UpstreamTarget, peer: Peer, request: PeerRequest): Promise<JsonObject>;
  stream(target: UpstreamTarget, peer: Peer, request: PeerRequest): AsyncIterable<JsonObject>;
}

export interface PeerRequest {
  readonly method: string;
  readonly params: JsonObject;
  readonly extensions?: string | undefined;
  readonly signal: AbortSignal;
}

const cardPath = "/.well-known/agent-card.json";

export function createPeers(outbound: Outbound, clock: Clock): Peers {
  const kept = new Map<string, { readonly peer: Promise<Peer>; readonly untilMs: number }>();

  async function discover(target: UpstreamTarget, given: JsonObject): Promise<Peer> {
    const isGiven =
      Array.isArray(given["supportedInterfaces"]) || given["protocolVersion"] !== undefined;
    if (isGiven) return toPeer(target, given);
    const card = await fetchCard(target);
    if (target.cardKeys.length > 0) await assertSigned(card, target.cardKeys);
    return toPeer(target, card);
  }

  async function fetchCard(target: UpstreamTarget): Promise<JsonObject> {
    const isCard = /\.json$/.test(new URL(target.url).pathname);
    const places = isCard ? [target.url] : cardPlaces(target.url);
    const abort = new AbortController();
    const stop = clock.after(peerLimits.cardMs, () =>
      abort.abort(
        new A2aError("internal", `The agent's card did not come within ${peerLimits.cardMs} ms.`),
      ),
    );
    try {
      for (const url of places) {
        const response = await outbound.fetch({
          ...{ url, method: "GET", trust: target.trust, signal: abort.signal },
          headers: { accept: "application/json", "a2a-version": "1.0", ...target.headers },
        });
        if (response.ok) {
          return readObject(await readText(response, peerLimits.cardBytes), "The agent's card");
        }
        await response.body?.cancel();
      }
    } finally {
      stop();
    }
    throw new A2aError(
      "invalidAgentResponse",
      `The agent has no card at ${places.map(hostOf).join(" or ")}.`,
    );
  }

  async function post(target: UpstreamTarget, peer: Peer, request: PeerRequest, accept: string) {
    const { method, params, extensions, signal } = request;
    const id = Bun.randomUUIDv7();
    const response = await outbound.fetch({
      ...{ url: peer.endpoint, method: "POST", trust: peer.trust, signal },
      headers: {
        ...{ "content-type": "application/json", accept, "a2a-version": peer.version },
        ...(extensions === undefined
          ? {}
          : { "a2a-extensions": extensions, "x-a2a-extensions": extensions }),
        ...(isSameOrigin(peer.endpoint, target.url) ? target.headers : {}),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id, method, params }),
    });
    return response;
  }

  return {
    find(target, given) {
      const key = `${target.trust} ${target.url} ${JSON.stringify([given, target.cardKeys])}`;
      const held = kept.get(key);
      if (held && held.untilMs > clock.now()) return held.peer;
      if (kept.size >= peerLimits.peers) kept.clear();
      const peer = discover(target, given);
      kept.set(key, { peer, untilMs: clock.now() + peerLimits.cardKeptMs });
      peer.catch(() => kept.delete(key)); // asked again by the next call; this one's caller is told
      return peer;
    },
    async call(target, peer, request) {
      const response = await post(target, peer, request, "application/json");
      return resultOf(response.status, await readText(response, peerLimits.answerBytes));
    },
    async *stream(target, peer, request) {
      const response = await post(target, peer, request, "text/event-stream");
      const type = response.headers.get("content-type") ?? "";
      if (!type.startsWith("text/event-stream")) {
        yield resultOf(response.status, await readText(response, peerLimits.answerBytes));
        return;
      }
      const pieces = limited(response, peerLimits.streamBytes);
      for await (const { data } of parseSse(pieces, peerLimits.eventBytes)) {
        if (data !== "") yield resultOf(response.status, data);
      }
    },
  };
}

/** The path that was configured, then its origin. */
function cardPlaces(url: string): readonly string[] {
  const { origin, pathname } = new URL(url);
  const base = `${origin}${pathname.replace(/\/+$/, "")}`;
  return [
    ...new Set([`${base}${cardPath}`, `${origin}${cardPath}`, `${base}/.well-known/agent.json`]),
  ];
}

const hostOf = (url: string) => `${new URL(url).host}${new URL(url).pathname}`;

const isSameOrigin = (a: string, b: string) => new URL(a).origin === new URL(b).origin;

/** JSON-RPC of 1.0 before that of 0.3. @throws A2aError invalidAgentResponse */
function toPeer(target: UpstreamTarget, card: JsonObject): Peer {
  const faces = objectsOf(card["supportedInterfaces"]).filter(
    (face) => face["protocolBinding"] === "JSONRPC",
  );
  const speaks = (version: string) =>
    faces.find((face) => String(face["protocolVersion"] ?? "1.0").startsWith(version));
  const newer = speaks("1.");
  const older = speaks("0.3");
  const others = objectsOf(card["additionalInterfaces"]).find(
    ({ transport }) => transport === "JSONRPC",
  );
  const transport = textAt(card, "preferredTransport") ?? "JSONRPC";
  const plain = transport === "JSONRPC" ? textAt(card, "url") : others && textAt(others, "url");
  const url = (newer ?? older) ? textAt(newer ?? older ?? {}, "url") : plain;
  if (url === undefined || !URL.canParse(url, target.url)) {
    throw new A2aError(
      "invalidAgentResponse",
      "The agent's card names no JSON-RPC endpoint, the one binding that is spoken upstream.",
    );
  }
  const endpoint = new URL(url, target.url).href;
  // What the operator wrote may be private; where a document sends us may not.
  const trust = isSameOrigin(endpoint, target.url) ? target.trust : "strict";
  return { endpoint, trust, version: newer ? "1.0" : "0.3", card };
}

function readObject(text: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new A2aError("invalidAgentResponse", `${what} is not JSON.`, {}, { cause });
  }
  if (isObject(value)) return value;
  throw new A2aError("invalidAgentResponse", `${what} is not a JSON object.`);
}

/** JSON-RPC's result. @throws A2aError with the agent's own code and words where it has failed */
function resultOf(status: number, text: string): JsonObject {
  const refused = status < 200 || status > 299;
  if (refused && !text.trimStart().startsWith("{")) {
    throw new A2aError("internal", `The agent answered with HTTP ${status}.`, {
      status: String(status),
    });
  }
  const reply = readObject(text, "The agent's answer");
  const error = objectAt(reply, "error");
  if (error) {
    const code = Number(error["code"]);
    const words = String(error["message"] ?? "The agent failed.").slice(0, 500);
    if (!Number.isInteger(code) || code > 0) throw new A2aError("internal", words);
    throw new A2aError(kindOfCode(code), words, {}, { code });
  }
  const result: Json | undefined = reply["result"];
  if (refused || result === undefined) {
    throw new A2aError(
      "invalidAgentResponse",
      `The agent's answer (HTTP ${status}) has no result.`,
    );
  }
  return isObject(result) ? result : { value: result };
}

async function readText(response: Response, limitBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of limited(response, limitBytes)) parts.push(part);
  return new TextDecoder().decode(Buffer.concat(parts));
}

async function* limited(response: Response, limitBytes: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > limitBytes) {
      throw new A2aError(
        "invalidAgentResponse",
        `The agent's answer is over the limit of ${limitBytes} bytes.`,
      );
    }
    yield piece;
  }
}
