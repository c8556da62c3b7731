/** What carries requests of revision 2026-07-28 to a server: a POST each, or lines to a process. */
import { isObject, type JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import { parseSse } from "../../../std/sse.ts";
import {
  auth,
  extractWWWAuthenticateParams,
  type FetchLike,
  type JSONRPCMessage,
  type OAuthClientProvider,
  StreamableHTTPError,
  type Transport,
  UnauthorizedError,
} from "../sdk.ts";
import { metaOf, subscriptionKey } from "./words.ts";

export interface Carried {
  readonly id: number;
  readonly message: JsonObject;
  /** Of the revision's, for a carrier that has any. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** What comes for it before its answer. */
  readonly onMessage: (message: JsonObject) => void;
}

export interface Carrier {
  /** The message that answers. @throws what its transport throws; Error where the answer never comes */
  send(carried: Carried): Promise<unknown>;
  close(): Promise<void>;
}

export interface HttpCarrierOptions {
  readonly authProvider: OAuthClientProvider | undefined;
  readonly fetch: FetchLike;
}

export function createHttpCarrier(server: McpServer, options: HttpCarrierOptions): Carrier {
  return {
    async send({ id, message, headers, signal, onMessage }) {
      const response = await authorized(server, options, {
        method: "POST",
        body: JSON.stringify(message),
        signal,
        headers: {
          ...headers,
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
        },
      });
      const type = response.headers.get("content-type") ?? "";
      if (type.startsWith("application/json")) return await response.json();
      if (!type.startsWith("text/event-stream")) {
        await response.body?.cancel();
        throw new StreamableHTTPError(response.status, `HTTP ${response.status} without an answer`);
      }
      for await (const { data } of parseSse(response.body ?? new ReadableStream<Uint8Array>())) {
        const told: unknown = data === "" ? undefined : JSON.parse(data);
        if (!isObject(told)) continue;
        if (told["id"] === id && told["method"] === undefined) return told;
        onMessage(told);
      }
      throw new Error("its stream ended without an answer");
    },
    close: () => Promise.resolve(),
  };
}

/** Once more with a token, where the server asks for one. @throws UnauthorizedError */
async function authorized(
  { url = "" }: McpServer,
  { authProvider, fetch: sendOut }: HttpCarrierOptions,
  init: RequestInit & { readonly headers: Readonly<Record<string, string>> },
): Promise<Response> {
  const send = async () => {
    const token = (await authProvider?.tokens())?.access_token;
    const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return await sendOut(url, { ...init, headers: { ...init.headers, ...bearer } });
  };
  const first = await send();
  if (!authProvider || (first.status !== 401 && first.status !== 403)) return first;
  const { resourceMetadataUrl, scope } = extractWWWAuthenticateParams(first);
  await first.body?.cancel();
  const done = await auth(authProvider, {
    serverUrl: url,
    fetchFn: sendOut,
    ...(scope === undefined ? {} : { scope }),
    ...(resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl }),
  });
  if (done !== "AUTHORIZED") throw new UnauthorizedError();
  return await send();
}

interface Waiting {
  readonly onMessage: (message: JsonObject) => void;
  readonly resolve: (message: JsonObject) => void;
  readonly reject: (reason: Error) => void;
}

/** `onClose`: the process ended. @throws what starting it throws */
export async function openProcessCarrier(
  transport: Transport,
  onClose: () => void,
): Promise<Carrier> {
  const waiting = new Map<number, Waiting>();

  /** Whose a line is: by the progress token or subscription it names, which are requests' ids. */
  function ownerOf(message: JsonObject): Waiting | undefined {
    const params = isObject(message["params"]) ? message["params"] : {};
    const named = metaOf(params)[subscriptionKey] ?? params["progressToken"];
    return waiting.get(Number(named)) ?? [...waiting.values()].at(-1);
  }

  transport.onmessage = (sent: JSONRPCMessage) => {
    const message = sent as unknown as JsonObject;
    const answered = message["method"] === undefined ? Number(message["id"]) : undefined;
    if (answered === undefined) return ownerOf(message)?.onMessage(message);
    waiting.get(answered)?.resolve(message);
  };
  transport.onclose = () => {
    for (const { reject } of waiting.values()) reject(new Error("its process ended"));
    onClose();
  };
  await transport.start();
  return {
    async send({ id, message, signal, onMessage }) {
      signal.throwIfAborted();
      const answer = new Promise<JsonObject>((resolve, reject) => {
        waiting.set(id, { onMessage, resolve, reject });
      });
      const cancel = () => {
        waiting.get(id)?.reject(signal.reason as Error);
        const params = { requestId: id, reason: "cancelled" };
        void transport
          .send({ jsonrpc: "2.0", method: "notifications/cancelled", params })
          .catch(() => undefined); // the process ended, which cancels as well
      };
      signal.addEventListener("abort", cancel, { once: true });
      try {
        await transport.send(message as unknown as JSONRPCMessage);
        return await answer;
      } finally {
        waiting.delete(id);
        signal.removeEventListener("abort", cancel);
      }
    },
    close: () => transport.close(),
  };
}
