/** Where secrets lie beside the environment: LiteLLM's `key_management_system`, as a contract. */
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Environment } from "./files.ts";

/** LiteLLM's names of those that are served. */
export const secretSystems = [
  "aws_secret_manager",
  "google_secret_manager",
  "azure_key_vault",
  "hashicorp_vault",
] as const;
export type SecretSystem = (typeof secretSystems)[number];

/** LiteLLM's names of those that are not. */
export const unservedSecretSystems: readonly string[] = [
  "aws_kms",
  "google_kms",
  "cyberark",
  "custom",
];

/**
 * A secret by its name; undefined where the store has none of it.
 * @throws GatewayError upstream_auth, upstream_unreachable: why, and nothing of the secret
 */
export type ReadSecret = (name: string) => Promise<string | undefined>;

export interface SecretSettings {
  readonly system: SecretSystem;
  /** `key_management_settings`, as written: a system's own settings among them. */
  readonly settings: JsonObject;
  readonly env: Environment;
}

/** @throws GatewayError config_invalid where the environment lacks what the store needs */
export type OpenSecretStore = (settings: SecretSettings) => ReadSecret;

/** Names asked for in one load; a configuration that names more has gone wrong. */
const namesLimit = 1_000;

/**
 * Every name is asked for once a load. Of `hosted_keys`, where written, only those are asked for; a
 * store that gateways may only write to (`access_mode`) is not read.
 */
export function createSecretReader(
  { system, settings, env }: SecretSettings,
  open: OpenSecretStore,
): ReadSecret {
  const hosted = settings["hosted_keys"];
  const names = Array.isArray(hosted) ? new Set(hosted.map(String)) : undefined;
  if (settings["access_mode"] === "write_only") return async () => undefined;
  const read = open({ system, settings, env });
  const asked = new Map<string, Promise<string | undefined>>();
  return async (name) => {
    if (names && !names.has(name)) return undefined;
    const known = asked.get(name);
    if (known || asked.size >= namesLimit) return known;
    const fresh = read(name);
    asked.set(name, fresh);
    return fresh;
  };
}

/** One secret that holds many, as JSON: `primary_secret_name`. */
export function pickFrom(text: string | undefined, name: string): string | undefined {
  if (text === undefined) return undefined;
  try {
    const all: unknown = JSON.parse(text);
    const value = isObject(all) ? all[name] : undefined;
    return value === undefined || value === null ? undefined : String(value);
  } catch {
    return undefined; // told as a missing secret: there is no such key in it
  }
}
