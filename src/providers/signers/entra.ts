/**
 * Microsoft Entra ID: a service principal's token by its client secret, or by an identity of another
 * issuer that it trusts.
 * Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
import type { TokenGrant } from "../../domain/model.ts";
import { readIdentityToken } from "./identity-token.ts";
import { askForToken, type FreshToken, type TokenSourceOptions } from "./token-request.ts";

export async function fetchEntraToken(
  { tokenUrl, clientId, clientSecret, identity, scope }: TokenGrant & { readonly kind: "entra" },
  options: TokenSourceOptions,
  signal: AbortSignal,
): Promise<FreshToken> {
  const proof =
    identity === undefined
      ? { client_secret: clientSecret ?? "" }
      : {
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion: await readIdentityToken(identity, options),
        };
  const form = { grant_type: "client_credentials", client_id: clientId, ...proof, scope };
  return askForToken(tokenUrl, form, options.outbound, signal);
}
