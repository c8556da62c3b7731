/**
 * The only way to a provider: encode, sign, guarded fetch, map errors. What comes back is either a
 * whole reply, read within a limit and parsed, or a stream that nobody has read from yet.
 */
import type { ProviderDialect } from "../dialects/dialect.ts";
import { dialects } from "../dialects/registry.ts";
import { GatewayError } from "../domain/errors.ts";
import type { Deployment, Operation, TokenGrant } from "../domain/model.ts";
import { type Destination, headerLine, toDestination } from "../security/destination.ts";
import { sendByFetch, toReply } from "../security/fetch-reply.ts";
import type { Outbound, OutboundReply } from "../security/outbound.ts";
import type { Cancel } from "../std/cancel.ts";
import { collect, sendForm, toReadable } from "./client-bodies.ts";
import type { CountRequest, ProviderClient, UpstreamRequest } from "./client-contract.ts";
import { noSuchOperation, stopOf, toUpstreamError } from "./client-errors.ts";
import {
  betaLine,
  callerLines,
  isBeta,
  traceLines,
  withCallerHeaders,
  withTrace,
} from "./client-headers.ts";
import { fitsOf, type Prepared } from "./client-prepared.ts";
import { sendInBatches } from "./embeddings.ts";
import { encodeBody, leavesAlone } from "./encode.ts";
import { fillMedia } from "./media.ts";
import { readOther } from "./other-replies.ts";
import {
  completesText,
  fillUrl,
  headersFor,
  isChat,
  type Provider,
  streamUrlFor,
  urlFor,
} from "./provider.ts";
import {
  clientLimits,
  isEventStream,
  isOk,
  parseReply,
  readUpTo,
  readWhole,
  toProviderError,
  toStream,
  type UpstreamReply,
} from "./read-reply.ts";
import { lacksApi, putPath } from "./responses-api.ts";
import { rewriteStream } from "./rewrite.ts";
import { createSignedWay } from "./signers/aws.ts";
import type { TokenSource } from "./signers/tokens.ts";
import { toStreamOfWhole } from "./whole-as-stream.ts";

export type {
  CountRequest,
  Located,
  PassRequest,
  ProviderClient,
  RelayRequest,
  UpstreamRequest,
} from "./client-contract.ts";
export type { RawReply, StreamReply, UpstreamReply, WholeReply } from "./read-reply.ts";
export { clientLimits } from "./read-reply.ts";

export interface ProviderClientOptions {
  readonly outbound: Outbound;
  readonly findProvider: (name: string) => Provider | undefined;
  /** For deployments that are let in by a token. */
  readonly tokens: TokenSource;
  /** Bytes of a whole reply, where it is less than `clientLimits.replyBytes`. */
  readonly replyLimitBytes?: number | undefined;
}

export function createProviderClient(options: ProviderClientOptions): ProviderClient {
  const { outbound, findProvider, tokens, replyLimitBytes: limitBytes } = options;
  const prepared = new WeakMap<Deployment, Prepared>();

  function prepare(deployment: Deployment): Prepared {
    const known = prepared.get(deployment);
    if (known) return known;
    const named = findProvider(deployment.provider);
    // Of a wildcard row, only the model that is asked for tells which wire it is.
    const provider = named?.variantOf?.(deployment.upstreamModel) ?? named;
    if (!provider) {
      throw new GatewayError(
        "config_invalid",
        `Deployment ${deployment.id} names the provider "${deployment.provider}", which does not exist.`,
      );
    }
    const { apiBase, token } = deployment;
    const way: Outbound = deployment.signs
      ? createSignedWay(outbound, tokens.aws, deployment.signs)
      : outbound;
    const fill = (url: string | undefined) => (url ? fillUrl(url, deployment) : undefined);
    const fresh = {
      provider,
      urls: Object.fromEntries(
        Object.keys(provider.paths).map((operation) => [
          operation,
          fill(urlFor(provider, apiBase, operation as Operation)),
        ]),
      ),
      streamUrl: fill(streamUrlFor(provider, apiBase)),
      countUrl: fill(provider.countPath && `${apiBase}${provider.countPath}`),
      headers: {
        "content-type": "application/json",
        ...headersFor(provider, token ? undefined : deployment.apiKey),
        ...deployment.headers,
      },
      fits: fitsOf(provider, deployment),
      unchanged: leavesAlone(provider, deployment.upstreamModel),
      way,
      send: way.send ?? ((request) => sendByFetch(way.fetch, request)),
      destinations: new Map<string, Destination>(),
    };
    prepared.set(deployment, fresh);
    return fresh;
  }

  function destinationOf(
    { destinations, headers }: Prepared,
    { token, strict }: Deployment,
    url: string,
  ): Destination {
    const known = destinations.get(url);
    if (known) return known;
    // Those that are said per call are not said here.
    const own = Object.entries(headers).filter(
      ([name]) => !isBeta(name) && !(token && /^authorization$/i.test(name)),
    );
    const from = { url, method: "POST", headers: Object.fromEntries(own) };
    const fresh = toDestination({ ...from, trust: strict ? "strict" : "operator" });
    destinations.set(url, fresh);
    return fresh;
  }

  async function authorizationLine(token: TokenGrant, { signal }: Cancel): Promise<string> {
    return headerLine("authorization", `Bearer ${await tokens.get(token, signal)}`);
  }

  async function withToken(
    headers: Readonly<Record<string, string>>,
    { token }: Deployment,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>>> {
    if (!token) return headers;
    return { ...headers, authorization: `Bearer ${await tokens.get(token, signal)}` };
  }

  /** A token that was refused is not used again: it may have been withdrawn before its time. */
  async function toRefusal(
    reply: OutboundReply,
    dialect: ProviderDialect,
    { token }: Deployment,
  ): Promise<GatewayError> {
    if (token && reply.status === 401) tokens.forget(token);
    return toProviderError(reply, dialect);
  }

  // Servers at an operator's own base that call themselves OpenAI and have its chat API alone.
  const chatOnly = new WeakSet<Deployment>();

  function hasResponses(deployment: Deployment): boolean {
    return prepare(deployment).urls.responses !== undefined && !chatOnly.has(deployment);
  }

  /** Whether an operation is carried over chat. */
  function isCarried(operation: Operation, deployment: Deployment): boolean {
    if (operation === "completion") return !completesText(prepare(deployment).provider, deployment);
    return operation === "responses" && !hasResponses(deployment);
  }

  /** Which API of the provider's answers a call, and what is spoken there. */
  function wireFor({ call, callerDialect, deployment }: UpstreamRequest, provider: Provider): Wire {
    const { operation } = call;
    const wanted =
      operation === "responses" || (operation === "chat" && deployment.speaksResponses === true);
    if (wanted && hasResponses(deployment)) {
      return { operation: "responses", dialect: dialects["openai-responses"] };
    }
    if (operation === "completion" && completesText(provider, deployment)) {
      return { operation, dialect: callerDialect };
    }
    return { operation: isChat(operation) ? "chat" : operation, dialect: provider.dialect };
  }

  /** A count in the provider's own words, which is a number in anybody's. */
  async function countTranslated(
    request: Pick<CountRequest, "chat" | "deployment" | "signal" | "connectTimeoutMs">,
  ): Promise<number | undefined> {
    const { chat, deployment, signal, connectTimeoutMs } = request;
    const { provider, headers, way } = prepare(deployment);
    const { upstreamModel, apiBase, facts } = deployment;
    const { countChat, dialect } = provider;
    if (!countChat?.applies(upstreamModel)) return undefined;
    const named = { ...deployment, upstreamModel: countChat.toModel(upstreamModel) };
    const encoded = dialect.encodeRequest(chat, upstreamModel, { dropParams: true, facts });
    try {
      const response = await way.fetch({
        url: fillUrl(`${apiBase}${countChat.path}`, named),
        method: "POST",
        headers: await withToken(headers, deployment, signal),
        body: JSON.stringify(countChat.toBody(encoded)),
        signal,
        trust: "operator",
        connectTimeoutMs,
      });
      const reply = toReply(response);
      if (isOk(reply)) {
        const body = await readUpTo(reply, clientLimits.errorBytes, "refuse");
        return countChat.tokensIn(parseReply(body));
      }
      const error = await toRefusal(reply, dialect, deployment);
      // What it says against a count it need not say against the call: an estimate will do.
      if (error.code === "upstream_rejected") return undefined;
      throw error;
    } catch (thrown) {
      throw toUpstreamError(thrown, stopOf(signal), deployment);
    }
  }

  const client: ProviderClient = {
    hasResponses,

    serves: (deployment, operation) =>
      prepare(deployment).urls[isCarried(operation, deployment) ? "chat" : operation] !== undefined,

    async locate(deployment, operation, signal) {
      const { provider, urls, headers } = prepare(deployment);
      const url = urls[operation];
      if (!url) throw noSuchOperation(deployment, { operation, requestedModel: deployment.group });
      return { provider, url, headers: await withToken(headers, deployment, signal) };
    },

    async relay({ deployment, method, path, signal, connectTimeoutMs }) {
      const { urls, headers, way } = prepare(deployment);
      try {
        const response = await way.fetch({
          url: putPath(urls.responses ?? "", path),
          method,
          headers: await withToken(headers, deployment, signal),
          signal,
          trust: "operator",
          connectTimeoutMs,
        });
        if (response.ok) return response;
        throw await toRefusal(toReply(response), dialects["openai-responses"], deployment);
      } catch (thrown) {
        throw toUpstreamError(thrown, stopOf(signal), deployment);
      }
    },

    async pass({ body, deployment, ...request }) {
      const isStreamed = body && !(body instanceof Uint8Array);
      try {
        // A signature holds the whole body.
        const content = isStreamed
          ? deployment.signs
            ? await collect(body)
            : toReadable(body)
          : body;
        const headers = await withToken(request.headers, deployment, request.signal);
        const sent = content === undefined ? {} : { body: content };
        // The operator's own paths have no provider of ours.
        const way = deployment.signs ? prepare(deployment).way : outbound;
        return await way.fetch({ ...request, headers, ...sent, trust: "operator" });
      } catch (thrown) {
        throw toUpstreamError(thrown, stopOf(request.signal), deployment);
      }
    },

    async send(request) {
      const { call, callerDialect, deployment, cancel, connectTimeoutMs, trace, tellHeaders } =
        request;
      const ready = prepare(deployment);
      const { provider, urls, streamUrl } = ready;
      const { operation, dialect } = wireFor(request, provider);
      const url = operation === "chat" && call.stream ? streamUrl : urls[operation];
      if (!url) throw noSuchOperation(deployment, call);
      if (call.upload) {
        const signed = await withToken(ready.headers, deployment, cancel.signal);
        const headers = withTrace(signed, call, trace);
        return sendForm(request, call.upload, { outbound, provider, url, headers, limitBytes });
      }
      const { unchanged } = ready;
      const sides = { caller: callerDialect, provider: dialect, unchanged };
      const { body, passes } = encodeBody(call, deployment, provider, sides);
      const to = destinationOf(ready, deployment, url);
      try {
        let lines = betaLine(call, ready) + traceLines(call, trace);
        if (deployment.forwardsHeaders) lines += callerLines(call, ready);
        if (deployment.token) lines += await authorizationLine(deployment.token, cancel);
        if (!isChat(call.operation)) {
          const ask: Ask = async (content, stop) => {
            const reply = await ready.send({
              to,
              lines,
              body: content,
              cancel: stop,
              connectTimeoutMs,
            });
            tellHeaders?.(reply.headers());
            return reply;
          };
          return await askOther(request, { provider, limitBytes }, body, ask);
        }
        const content = dialect.withMedia
          ? await fillMedia(body, dialect, outbound, cancel.signal)
          : body;
        const reply = await ready.send({ to, lines, body: content, cancel, connectTimeoutMs });
        tellHeaders?.(reply.headers());
        if (!isOk(reply)) {
          const error = await toRefusal(reply, dialect, deployment);
          if (operation !== "responses" || !lacksApi(error, request, provider)) throw error;
          chatOnly.add(deployment);
          return await client.send(request);
        }
        const replied = { dialect, passes, limitBytes };
        const fit = ready.fits?.[operation];
        if (!(call.stream && isEventStream(reply, dialect))) {
          const read = readWhole(reply, replied, call, fit?.reply);
          const whole = read instanceof Promise ? await read : read;
          return call.stream ? toStreamOfWhole(whole, call) : whole;
        }
        const stream = toStream(reply, replied, cancel);
        return fit?.frame ? rewriteStream(stream, fit.frame) : stream;
      } catch (thrown) {
        throw toUpstreamError(thrown, cancel, deployment);
      }
    },

    async countTokens({ dialect, body, chat, deployment, signal, connectTimeoutMs, ...caller }) {
      const { provider, urls, headers, way, ...place } = prepare(deployment);
      const ofResponses = dialect === "openai-responses" && hasResponses(deployment);
      const countUrl = ofResponses
        ? putPath(urls.responses ?? "", "/input_tokens")
        : provider.dialect.name === dialect
          ? place.countUrl
          : undefined;
      if (!countUrl) return countTranslated({ chat, deployment, signal, connectTimeoutMs });
      const { upstreamModel } = deployment;
      const counted = provider.toCountBody?.(body, upstreamModel) ?? {
        ...body,
        model: upstreamModel,
      };
      try {
        const signed = await withToken(headers, deployment, signal);
        const response = await way.fetch({
          url: countUrl,
          method: "POST",
          headers: withCallerHeaders(signed, { dialect, headers: caller.headers }, provider),
          body: JSON.stringify(counted),
          signal,
          trust: "operator",
          connectTimeoutMs,
        });
        const reply = toReply(response);
        if (!isOk(reply)) throw await toRefusal(reply, provider.dialect, deployment);
        return parseReply(await readUpTo(reply, clientLimits.errorBytes, "refuse"));
      } catch (thrown) {
        throw toUpstreamError(thrown, stopOf(signal), deployment);
      }
    },
  };
  return client;
}

interface Wire {
  readonly operation: Operation;
  readonly dialect: ProviderDialect;
}

type Ask = (body: string, cancel: Cancel) => Promise<OutboundReply>;

/** What is no chat has one form that callers and providers share: the body passes, the reply too. */
async function askOther(
  { call, cancel }: UpstreamRequest,
  { provider, limitBytes }: { provider: Provider; limitBytes: number | undefined },
  body: string,
  ask: Ask,
): Promise<UpstreamReply> {
  if (call.operation === "embedding") {
    return sendInBatches(call, body, provider, { ask, cancel, limitBytes });
  }
  return readOther(await ask(body, cancel), { call, provider, cancel, limitBytes });
}
