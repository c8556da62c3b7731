/**
 * Google Secret Manager: the latest version of a secret.
 * Source: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
 */
import type { ReadSecret, SecretSettings } from "../../config/secret-store.ts";
import { isObject } from "../../domain/json.ts";
import { instanceHost } from "../../security/ssrf.ts";
import type { TokenSourceOptions } from "../signers/token-request.ts";
import { createTokenSource } from "../signers/tokens.ts";
import { askStore, need } from "./ask.ts";

const store = "Google Secret Manager";

export function openGoogleSecrets(
  { env }: SecretSettings,
  options: TokenSourceOptions,
): ReadSecret {
  const project = need(env, "google_secret_manager", "GOOGLE_SECRET_MANAGER_PROJECT_ID");
  const base = env["GOOGLE_SECRET_MANAGER_ENDPOINT"] || "https://secretmanager.googleapis.com";
  const grant = {
    kind: "google",
    credentials: env["GOOGLE_APPLICATION_CREDENTIALS"] ?? "",
    metadataHost: env["GCE_METADATA_HOST"] || instanceHost,
  } as const;
  const tokens = createTokenSource(options);
  return async (name) => {
    const token = await tokens.get(grant, AbortSignal.timeout(15_000));
    const path = `/v1/projects/${encodeURIComponent(project)}/secrets/${encodeURIComponent(name)}/versions/latest:access`;
    const answer = await askStore(
      store,
      { url: `${base}${path}`, headers: { authorization: `Bearer ${token}` } },
      options.outbound,
      (status) => status === 404,
    );
    const payload = answer?.["payload"];
    const data = isObject(payload) ? payload["data"] : undefined;
    return typeof data === "string" ? Buffer.from(data, "base64").toString("utf8") : undefined;
  };
}
