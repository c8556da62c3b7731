/** What is asked of a provider, and of whoever asks it: the contract of `client.ts`. */
import type { Dialect, DialectName } from "../dialects/dialect.ts";
import type { Call, RequestHeaders } from "../domain/call.ts";
import type { ChatRequest } from "../domain/chat.ts";
import type { CallTrace } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment, Operation } from "../domain/model.ts";
import type { Cancel } from "../std/cancel.ts";
import type { Provider } from "./provider.ts";
import type { UpstreamReply } from "./read-reply.ts";

export interface UpstreamRequest {
  readonly call: Call;
  readonly callerDialect: Dialect;
  readonly deployment: Deployment;
  /** Its reason, a GatewayError, is thrown when it stops the attempt. */
  readonly cancel: Cancel;
  readonly connectTimeoutMs: number;
  /** Where spans are on: what the upstream continues. */
  readonly trace?: CallTrace | undefined;
  /** Told the answer's headers, where somebody wants them. */
  readonly tellHeaders?: ((headers: Headers) => void) | undefined;
}

/** A request about something that the provider keeps, under the path of its Responses API. */
export interface RelayRequest {
  readonly deployment: Deployment;
  readonly method: "GET" | "POST" | "DELETE";
  /** After the API's own path: `/resp_1/cancel?…`. */
  readonly path: string;
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
}

export interface ProviderClient {
  /** Whether the provider has a Responses API of its own, as far as is known. */
  hasResponses(deployment: Deployment): boolean;
  /** The provider's answer as it comes. @throws GatewayError; never anything else. */
  relay(request: RelayRequest): Promise<Response>;
  /** @throws GatewayError; never anything else. */
  send(request: UpstreamRequest): Promise<UpstreamReply>;
  /** Whether the deployment's provider has an operation at all. */
  serves(deployment: Deployment, operation: Operation): boolean;
  /** Where an operation is asked, and with which headers. @throws GatewayError */
  locate(deployment: Deployment, operation: Operation, signal: AbortSignal): Promise<Located>;
  /** A request to a provider's own API, its answer as it comes, whatever its status. @throws GatewayError */
  pass(request: PassRequest): Promise<Response>;
  /**
   * Asks the provider how many tokens a request has, in the provider's own words. Undefined where
   * it does not count, or not in the caller's dialect. @throws GatewayError
   */
  countTokens(request: CountRequest): Promise<JsonObject | number | undefined>;
}

export interface Located {
  readonly provider: Provider;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface PassRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly deployment: Deployment;
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
}

export interface CountRequest {
  readonly dialect: DialectName;
  readonly body: JsonObject;
  /** The same as a chat request. */
  readonly chat: ChatRequest;
  /** The caller's. */
  readonly headers: RequestHeaders;
  readonly deployment: Deployment;
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
}
