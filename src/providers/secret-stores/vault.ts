/**
 * HashiCorp Vault, key-value engine version 2: the field `key` of the secret, as LiteLLM keeps it.
 * Access: a token, or an AppRole that is logged in once a load.
 * Source: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2,
 * https://developer.hashicorp.com/vault/api-docs/auth/approle
 */
import type { ReadSecret, SecretSettings } from "../../config/secret-store.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import type { TokenSourceOptions } from "../signers/token-request.ts";
import { askStore, need } from "./ask.ts";

const store = "HashiCorp Vault";

export function openVaultSecrets(
  { env }: SecretSettings,
  { outbound }: Pick<TokenSourceOptions, "outbound">,
): ReadSecret {
  const system = "hashicorp_vault";
  const address = need(env, system, "HCP_VAULT_ADDR").replace(/\/+$/, "");
  const segments = (path: string | undefined) => (path ?? "").split("/").filter(Boolean);
  const at = (...parts: readonly string[]) =>
    [address, "v1", ...segments(env["HCP_VAULT_NAMESPACE"]), ...parts].join("/");
  const roleId = env["HCP_VAULT_APPROLE_ROLE_ID"];
  const role = roleId
    ? {
        role_id: roleId,
        secret_id: need(env, system, "HCP_VAULT_APPROLE_SECRET_ID"),
      }
    : undefined;
  const fixed = role ? undefined : need(env, system, "HCP_VAULT_TOKEN");
  let login: Promise<string> | undefined;

  async function logIn(): Promise<string> {
    const mount = segments(env["HCP_VAULT_APPROLE_MOUNT_PATH"] || "approle");
    const answer = await askStore(
      store,
      {
        url: at("auth", ...mount, "login"),
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(role),
      },
      outbound,
      () => false,
    );
    const auth = answer?.["auth"];
    const token = isObject(auth) ? auth["client_token"] : undefined;
    if (typeof token === "string") return token;
    throw new GatewayError("upstream_auth", `${store} gave no token for the AppRole.`);
  }

  return async (name) => {
    login ??= fixed === undefined ? logIn() : Promise.resolve(fixed);
    const mount = segments(env["HCP_VAULT_MOUNT_NAME"] || "secret");
    const prefix = segments(env["HCP_VAULT_PATH_PREFIX"]);
    const path = [...prefix, ...segments(name)].map(encodeURIComponent);
    const answer = await askStore(
      store,
      { url: at(...mount, "data", ...path), headers: { "x-vault-token": await login } },
      outbound,
      (status) => status === 404,
    );
    const outer = answer?.["data"];
    const inner = isObject(outer) ? outer["data"] : undefined;
    const value = isObject(inner) ? inner["key"] : undefined;
    return value === undefined || value === null ? undefined : String(value);
  };
}
