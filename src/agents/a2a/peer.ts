/**
 * How to speak with an agent that stands elsewhere: where its endpoint is, which revision and which
 * binding it speaks, by its card; requests and answers within limits of time and size.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { Outbound, Trust } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import { parseSse } from "../../std/sse.ts";
import type { UpstreamTarget } from "./agent.ts";
import { assertSigned } from "./card-signature.ts";
import { A2aError } from "./errors.ts";
import {
  type Face,
  type Operation,
  readAnswer,
  readObject,
  toWireRequest,
} from "./upstream-wire.ts";
import { objectsOf, textAt } from "./wire.ts";

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

export interface Peer extends Face {
  readonly trust: Trust;
  readonly card: JsonObject;
}

export interface Peers {
  /** @throws A2aError invalidAgentResponse for a card that is none; GatewayError from outbound */
  find(target: UpstreamTarget, given: JsonObject): Promise<Peer>;
  call(target: UpstreamTarget, peer: Peer, request: PeerRequest): Promise<JsonObject>;
  stream(target: UpstreamTarget, peer: Peer, request: PeerRequest): AsyncIterable<JsonObject>;
}

export interface PeerRequest {
  readonly operation: Operation;
  /** In the words of 1.0, as is what comes back. */
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
    const { operation, params, extensions, signal } = request;
    const { url, method, body } = toWireRequest(peer, operation, params);
    const response = await outbound.fetch({
      ...{ url, method, trust: peer.trust, signal },
      headers: {
        ...{ accept, "a2a-version": peer.version },
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(extensions === undefined
          ? {}
          : { "a2a-extensions": extensions, "x-a2a-extensions": extensions }),
        ...(isSameOrigin(peer.endpoint, target.url) ? target.headers : {}),
      },
      ...(body === undefined ? {} : { body }),
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
      const text = await readText(response, peerLimits.answerBytes);
      return readAnswer(peer, request.operation, response.status, text);
    },
    async *stream(target, peer, request) {
      const response = await post(target, peer, request, "text/event-stream");
      const type = response.headers.get("content-type") ?? "";
      if (!type.startsWith("text/event-stream")) {
        const text = await readText(response, peerLimits.answerBytes);
        yield readAnswer(peer, request.operation, response.status, text);
        return;
      }
      const pieces = limited(response, peerLimits.streamBytes);
      for await (const { data } of parseSse(pieces, peerLimits.eventBytes)) {
        if (data !== "") yield readAnswer(peer, request.operation, response.status, data);
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

const bindings = ["JSONRPC", "HTTP+JSON"] as const;

/** 1.0 before 0.3, JSON-RPC before HTTP+JSON. @throws A2aError invalidAgentResponse */
function toPeer(target: UpstreamTarget, card: JsonObject): Peer {
  const faces = [...newerFaces(card), ...olderFaces(card)].filter(({ endpoint }) =>
    URL.canParse(endpoint, target.url),
  );
  const wanted = (["1.0", "0.3"] as const).flatMap((version) =>
    bindings.map((binding) => ({ version, binding })),
  );
  for (const { version, binding } of wanted) {
    const face = faces.find((each) => each.version === version && each.binding === binding);
    if (!face) continue;
    const endpoint = new URL(face.endpoint, target.url).href;
    // What the operator wrote may be private; where a document sends us may not.
    const trust = isSameOrigin(endpoint, target.url) ? target.trust : "strict";
    return { ...face, endpoint, trust, card };
  }
  throw new A2aError(
    "invalidAgentResponse",
    "The agent's card names no endpoint that is spoken here: JSON-RPC or HTTP+JSON, of A2A 1.0 or 0.3. Let its card name one in supportedInterfaces (1.0), or in url and preferredTransport (0.3).",
  );
}

const isBinding = (word: unknown): word is Face["binding"] =>
  bindings.some((each) => each === word);

function newerFaces(card: JsonObject): readonly Face[] {
  return objectsOf(card["supportedInterfaces"]).flatMap((face) => {
    const { protocolBinding: binding } = face;
    const said = String(face["protocolVersion"] ?? "1.0");
    const version =
      said.startsWith("1.") || said === "1" ? "1.0" : said.startsWith("0.3") ? "0.3" : undefined;
    const endpoint = textAt(face, "url");
    if (!isBinding(binding) || version === undefined || endpoint === undefined) return [];
    return [{ version, binding, endpoint, tenant: textAt(face, "tenant") }];
  });
}

function olderFaces(card: JsonObject): readonly Face[] {
  const first = { url: card["url"] ?? "", transport: card["preferredTransport"] ?? "JSONRPC" };
  return [first, ...objectsOf(card["additionalInterfaces"])].flatMap((face) => {
    const { transport: binding } = face;
    const endpoint = textAt(face, "url");
    if (!isBinding(binding) || endpoint === undefined) return [];
    return [{ version: "0.3" as const, binding, endpoint, tenant: undefined }];
  });
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
