/** Identities of another issuer, by the references that LiteLLM has for them (`oidc/env/…`). */
import { readOidcToken } from "../../security/oidc.ts";
import { fetchGoogleIdToken } from "./google.ts";
import { refused, type TokenSourceOptions, tokenLimitMs } from "./token-request.ts";

/** An identity token by LiteLLM's reference, got anew each time. @throws GatewayError upstream_auth */
export async function readIdentityToken(
  reference: string,
  { env = {}, readText, outbound, clock }: TokenSourceOptions,
): Promise<string> {
  const googleIdToken = (audience: string) =>
    fetchGoogleIdToken(
      env["GOOGLE_APPLICATION_CREDENTIALS"] ?? "",
      audience,
      { readText, outbound, clock },
      AbortSignal.timeout(tokenLimitMs),
    );
  try {
    return await readOidcToken(reference, { env, readText, outbound, googleIdToken });
  } catch (thrown) {
    throw refused(thrown instanceof Error ? thrown.message : String(thrown), thrown);
  }
}
