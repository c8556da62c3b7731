/**
 * Microsoft Entra ID: a service principal's token by its client secret.
 * Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
import type { TokenGrant } from "../../domain/model.ts";
import { askForToken, type FreshToken, type TokenSourceOptions } from "./tokens.ts";

export function fetchEntraToken(
  { tokenUrl, clientId, clientSecret, scope }: TokenGrant & { readonly kind: "entra" },
  { outbound }: TokenSourceOptions,
  signal: AbortSignal,
): Promise<FreshToken> {
  const form = {
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: clientSecret,
    scope,
  };
  return askForToken(tokenUrl, form, outbound, signal);
}
