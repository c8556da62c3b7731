/**
 * Azure Key Vault, by a service principal. A vault's names have no underscores: `OPENAI_API_KEY` is
 * asked for as `OPENAI-API-KEY`.
 * Source: https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
 */
import type { ReadSecret, SecretSettings } from "../../config/secret-store.ts";
import type { TokenSourceOptions } from "../signers/token-request.ts";
import { createTokenSource } from "../signers/tokens.ts";
import { askStore, need } from "./ask.ts";

const store = "Azure Key Vault";
const apiVersion = "7.4";

export function openAzureSecrets({ env }: SecretSettings, options: TokenSourceOptions): ReadSecret {
  const system = "azure_key_vault";
  const vault = need(env, system, "AZURE_KEY_VAULT_URI").replace(/\/+$/, "");
  const tenant = need(env, system, "AZURE_TENANT_ID");
  const authority = (env["AZURE_AUTHORITY_HOST"] || "https://login.microsoftonline.com").replace(
    /\/+$/,
    "",
  );
  const grant = {
    kind: "entra",
    tokenUrl: `${authority}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`,
    clientId: need(env, system, "AZURE_CLIENT_ID"),
    clientSecret: need(env, system, "AZURE_CLIENT_SECRET"),
    scope: "https://vault.azure.net/.default",
  } as const;
  const tokens = createTokenSource(options);
  return async (name) => {
    const token = await tokens.get(grant, AbortSignal.timeout(15_000));
    const path = `/secrets/${encodeURIComponent(name.replaceAll("_", "-"))}`;
    const answer = await askStore(
      store,
      {
        url: `${vault}${path}?api-version=${apiVersion}`,
        headers: { authorization: `Bearer ${token}` },
      },
      options.outbound,
      (status) => status === 404,
    );
    const value = answer?.["value"];
    return typeof value === "string" ? value : undefined;
  };
}
