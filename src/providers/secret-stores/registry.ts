/** The secret stores that configuration may be read from, by LiteLLM's names. */
import type { ReadSecret, SecretSettings, SecretSystem } from "../../config/secret-store.ts";
import type { TokenSourceOptions } from "../signers/token-request.ts";
import { openAwsSecrets } from "./aws.ts";
import { openAzureSecrets } from "./azure.ts";
import { openGoogleSecrets } from "./google.ts";
import { openVaultSecrets } from "./vault.ts";

export type OpenStore = (settings: SecretSettings, options: TokenSourceOptions) => ReadSecret;

export const secretStores: Readonly<Record<SecretSystem, OpenStore>> = {
  aws_secret_manager: openAwsSecrets,
  google_secret_manager: openGoogleSecrets,
  azure_key_vault: openAzureSecrets,
  hashicorp_vault: openVaultSecrets,
};
