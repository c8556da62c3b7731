/** The contract of a service we call: data, plus the few differences from its dialect. */
import type { Dialect } from "../dialects/dialect.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Operation } from "../domain/model.ts";

export type Auth =
  | { readonly kind: "bearer"; readonly env: readonly string[] }
  | { readonly kind: "header"; readonly header: string; readonly env: readonly string[] }
  | { readonly kind: "none" };

/** A change to a provider's body: a pure function, listed with its reason. */
export type Adaptation = (body: JsonObject) => JsonObject;

export interface Provider {
  /** kebab- or snake-case as LiteLLM's prefix: "openai", "together_ai". */
  readonly name: string;
  /** Other prefixes for the same service. */
  readonly aliases?: readonly string[];
  readonly dialect: Dialect;
  /** Missing where the operator must write `api_base`. */
  readonly baseUrl?: string;
  /** Environment names that may hold the base URL, as LiteLLM reads them. */
  readonly baseUrlEnv?: readonly string[];
  readonly auth: Auth;
  readonly paths: Readonly<Partial<Record<Operation, string>>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly adapt?: readonly Adaptation[];
  /** Where the table's facts come from. */
  readonly source: string;
}

export function defineProvider(provider: Provider): Provider {
  return provider;
}
