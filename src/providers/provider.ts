/** The contract of a service we call: data, plus the few differences from its dialect. */
import type { ProviderDialect } from "../dialects/dialect.ts";
import type { JsonObject } from "../domain/json.ts";
import type { AwsGrant, Deployment, Operation, TokenGrant } from "../domain/model.ts";

export type Auth =
  | { readonly kind: "bearer"; readonly env: readonly string[] }
  | { readonly kind: "header"; readonly header: string; readonly env: readonly string[] }
  /** A token by `Deployment.token`, which `locate` finds; `env`: where its credentials may lie. */
  | { readonly kind: "token"; readonly env: readonly string[] }
  | { readonly kind: "none" };

/**
 * A change to a provider's body: a pure function, listed with its reason. It runs last, on a body
 * whose `model` is the provider's name for it. What changes nothing answers the body itself (===),
 * so that the bytes of a call may still pass untouched.
 */
export interface Adaptation {
  (body: JsonObject, options: AdaptOptions): JsonObject;
  /** Of one that is for some models only: whether a model is among them. */
  readonly applies?: (model: string) => boolean;
}

export interface AdaptOptions {
  /**
   * LiteLLM's `drop_params`. Also to be set where the caller did not choose the model (`auto`, a
   * fallback): parameters that the chosen one refuses are then dropped rather than refused.
   */
  readonly dropParams: boolean;
}

export interface Provider {
  /** kebab- or snake-case as LiteLLM's prefix: "openai", "together_ai". */
  readonly name: string;
  /** Other prefixes for the same service. */
  readonly aliases?: readonly string[];
  readonly dialect: ProviderDialect;
  /** Missing where the operator must write `api_base`. */
  readonly baseUrl?: string;
  /** Environment names that may hold the base URL, as LiteLLM reads them. */
  readonly baseUrlEnv?: readonly string[];
  /** What a configured base means, where it is not used as it stands; no "/" at its end. */
  readonly toBase?: (base: string) => string;
  /** The service's name of a model, where it is not what stands after the prefix. */
  readonly toModel?: (model: string) => string;
  readonly auth: Auth;
  /** Appended to the base URL, `{model}` in it replaced; a function makes a URL that lies elsewhere. */
  readonly paths: Readonly<Partial<Record<Operation, string | ((apiBase: string) => string)>>>;
  /** Where a stream of chat is asked for, if elsewhere. */
  readonly streamPath?: string;
  /** Where the tokens of a chat request are counted. */
  readonly countPath?: string;
  /** The body of such a count, where it is not the caller's with the model's name in it. */
  readonly toCountBody?: (body: JsonObject, model: string) => JsonObject;
  /** Where any dialect's chat can be counted, once it is translated. */
  readonly countChat?: CountChat;
  /** Fields of a chat's body that the provider's URL says instead: they are taken out last. */
  readonly outsideBody?: readonly string[];
  /** The same service under another dialect, for some of its models. */
  readonly variantOf?: (model: string) => Provider | undefined;
  /** The address and the way in, where they take more than `api_base` and a key. */
  readonly locate?: (place: Place) => Location | Unlocated;
  /**
   * Which models take text completions by `paths.completion`; the rest are asked by chat. Missing:
   * those that are meant for nothing else.
   */
  readonly completes?: (model: string) => boolean;
  /** What differs of operations other than chat, both ways; of chat's answers, where they do. */
  readonly fit?: Readonly<Partial<Record<Operation, Fit>>>;
  /** The most inputs that one request for embeddings may hold; more are asked for in turns. */
  readonly embeddingBatch?: number | ((model: string) => number);
  /** It takes tokens of OpenAI's own in place of text to embed. */
  readonly embedsTokens?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly adapt?: readonly Adaptation[];
  /** Where the table's facts come from. */
  readonly source: string;
}

export interface CountChat {
  readonly applies: (model: string) => boolean;
  readonly path: string;
  /** The name to count by, where it is not the one to call by. */
  readonly toModel: (model: string) => string;
  /** @param body a chat's, in the provider's dialect */
  readonly toBody: (body: JsonObject) => JsonObject;
  readonly tokensIn: (reply: JsonObject) => number | undefined;
}

export interface Fit {
  /** Of chat: for which models. Missing: for all. */
  readonly applies?: (model: string) => boolean;
  readonly request?: (body: JsonObject) => JsonObject;
  /** Of embeddings: the same for each part, where more inputs than one request holds are split. */
  readonly each?: (body: JsonObject) => JsonObject;
  /** The reply as OpenAI's (for rerank, Cohere's) clients read it. */
  readonly reply?: (body: JsonObject, headers?: Headers) => JsonObject;
  /** The same for each event of a stream; the body itself (===) where it is right already. */
  readonly frame?: (body: JsonObject) => JsonObject;
}

/** What goes in the words of a dialect of chat; all else has one form that every provider takes. */
export function isChat(operation: Operation): boolean {
  return operation === "chat" || operation === "responses" || operation === "completion";
}

/** Whether a text completion reaches the model as one, and not carried over chat. */
export function completesText(
  provider: Provider,
  { operation, upstreamModel }: Pick<Deployment, "operation" | "upstreamModel">,
): boolean {
  if (provider.paths.completion === undefined) return false;
  return operation === "completion" || (provider.completes?.(upstreamModel) ?? false);
}

export interface Place {
  /** `api_base`, tidied, or the environment's. */
  readonly base?: string;
  /** `litellm_params`, references resolved. */
  readonly params: JsonObject;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Location {
  readonly base: string;
  readonly query?: string;
  readonly token?: TokenGrant;
  readonly signs?: AwsGrant;
}

/** What the operator must still say. */
export interface Unlocated {
  /** `litellm_params` key that is missing. */
  readonly key: string;
  readonly message: string;
  readonly remedy: string;
}

export const isLocated = (found: Location | Unlocated): found is Location => "base" in found;

export function defineProvider(provider: Provider): Provider {
  return provider;
}

/** The body after all of a provider's adaptations; the body itself where none applies. */
export function adaptBody(
  provider: Provider,
  body: JsonObject,
  options: AdaptOptions = { dropParams: false },
): JsonObject {
  let adapted = body;
  for (const change of provider.adapt ?? []) adapted = change(adapted, options);
  return adapted;
}

/** The headers that carry the key, and those that the service always wants. */
export function headersFor(
  provider: Provider,
  apiKey: string | undefined,
): Readonly<Record<string, string>> {
  const { auth, headers } = provider;
  if (auth.kind === "none" || auth.kind === "token" || !apiKey) return { ...headers };
  if (auth.kind === "header") return { ...headers, [auth.header]: apiKey };
  return { ...headers, authorization: `Bearer ${apiKey}` };
}

/** The URL of an operation. Undefined where the provider does not offer it. */
export function urlFor(
  provider: Provider,
  apiBase: string,
  operation: Operation,
): string | undefined {
  const path = provider.paths[operation];
  if (typeof path === "function") return path(apiBase);
  return path === undefined ? undefined : `${apiBase}${path}`;
}

/** The same for a stream of chat. */
export function streamUrlFor(provider: Provider, apiBase: string): string | undefined {
  const { streamPath } = provider;
  return streamPath === undefined ? urlFor(provider, apiBase, "chat") : `${apiBase}${streamPath}`;
}

/** A URL with what a deployment puts into it: its model's name, its query. */
export function fillUrl(url: string, { upstreamModel, query }: Deployment): string {
  // Google's names hold "@", which needs no escape in a path and looks odd with one.
  const name = encodeURIComponent(upstreamModel).replaceAll("%40", "@");
  const filled = url.replaceAll("{model}", () => name);
  if (query === undefined) return filled;
  return `${filled}${filled.includes("?") ? "&" : "?"}${query}`;
}
