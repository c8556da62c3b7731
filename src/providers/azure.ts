/**
 * Azure OpenAI: OpenAI's dialect at a resource of the operator's own, a deployment in the path.
 * Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference
 */
import { isOpenaiReasoner } from "../dialects/openai-chat/models.ts";
import { dialects } from "../dialects/registry.ts";
import type { TokenGrant } from "../domain/model.ts";
import { isOidcReference } from "../security/oidc.ts";
import { dropGoogleExtras, dropInMessages, dropUnlessOne, rename, when } from "./adapt.ts";
import { allPaths } from "./openai.ts";
import { defineProvider, type Location, type Place, type Unlocated } from "./provider.ts";

/** LiteLLM's, where neither the row nor AZURE_API_VERSION says one. */
const defaultVersion = "2025-02-01-preview";
const defaultScope = "https://cognitiveservices.azure.com/.default";

export const azure = defineProvider({
  name: "azure",
  dialect: dialects["openai-chat"],
  baseUrlEnv: ["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"],
  toBase: (base) => base.replace(/\/openai$/, ""),
  auth: { kind: "header", header: "api-key", env: ["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"] },
  locate,
  paths: {
    ...allPaths,
    // The deployment is the body's model there, on the older surface too.
    responses: (base) => `${resourceOf(base)}/responses`,
    compaction: (base) => `${resourceOf(base)}/responses/compact`,
    realtime: (base) =>
      /\/openai\/v1$/.test(base)
        ? `${base}/realtime?model={model}`
        : `${resourceOf(base)}/realtime?deployment={model}`,
  },
  // A deployment's name is the operator's; where it is the model's, what OpenAI refuses is mended.
  adapt: [
    when(isOpenaiReasoner, rename("max_tokens", "max_completion_tokens")),
    when(isOpenaiReasoner, dropUnlessOne("temperature", "top_p")),
    dropInMessages("reasoning_content"),
    dropGoogleExtras,
  ],
  source: "https://learn.microsoft.com/azure/ai-foundry/openai/reference",
});

const resourceOf = (base: string) => base.replace(/\/openai\/deployments\/[^/]+$/, "/openai");

function locate({ base, params, env }: Place): Location | Unlocated {
  if (base === undefined) {
    return {
      key: "api_base",
      message: "Azure OpenAI has no address of its own, and none is given",
      remedy: "Set `api_base` (or AZURE_API_BASE), such as https://my-resource.openai.azure.com.",
    };
  }
  const version =
    textOf(params["api_version"]) ??
    textOf(env["AZURE_API_VERSION"]) ??
    textOf(env["OPENAI_API_VERSION"]) ??
    defaultVersion;
  const token = tokenOf(params, env);
  const wayIn = token ? { token } : {};
  const query = `api-version=${encodeURIComponent(version)}`;
  // Azure's newer surface: the deployment is the body's model, as at OpenAI.
  if (/\/openai\/v1$/.test(base)) return { base, ...wayIn };
  if (["v1", "preview", "latest"].includes(version)) {
    return { base: `${base}/openai/v1`, ...wayIn, ...(version === "v1" ? {} : { query }) };
  }
  const isWhole = base.includes("/openai/deployments/");
  return { base: isWhole ? base : `${base}/openai/deployments/{model}`, query, ...wayIn };
}

/** Entra ID in place of a key, in LiteLLM's order: what the row says comes before the environment. */
function tokenOf(params: Place["params"], env: Place["env"]): TokenGrant | undefined {
  if (textOf(params["api_key"]) !== undefined) return undefined;
  const fixed = textOf(params["azure_ad_token"]);
  if (fixed !== undefined) {
    if (!isOidcReference(fixed)) return { kind: "fixed", token: fixed };
    const tenant = textOf(params["tenant_id"]) ?? textOf(env["AZURE_TENANT_ID"]);
    const client = textOf(params["client_id"]) ?? textOf(env["AZURE_CLIENT_ID"]);
    return principal(tenant, client, { identity: fixed }, params, env);
  }
  const own = principal(
    textOf(params["tenant_id"]),
    textOf(params["client_id"]),
    secretOf(params["client_secret"]),
    params,
    env,
  );
  if (own) return own;
  if (azure.auth.kind === "header" && azure.auth.env.some((name) => textOf(env[name])))
    return undefined;
  const ambient = textOf(env["AZURE_AD_TOKEN"]);
  if (ambient !== undefined) return { kind: "fixed", token: ambient };
  return principal(
    textOf(env["AZURE_TENANT_ID"]),
    textOf(env["AZURE_CLIENT_ID"]),
    secretOf(env["AZURE_CLIENT_SECRET"]),
    params,
    env,
  );
}

type Proof = { readonly clientSecret: string } | { readonly identity: string };

function secretOf(value: unknown): Proof | undefined {
  const clientSecret = textOf(value);
  return clientSecret === undefined ? undefined : { clientSecret };
}

function principal(
  tenant: string | undefined,
  clientId: string | undefined,
  proof: Proof | undefined,
  params: Place["params"],
  env: Place["env"],
): TokenGrant | undefined {
  if (tenant === undefined || clientId === undefined || proof === undefined) return undefined;
  const authority = textOf(env["AZURE_AUTHORITY_HOST"]) ?? "https://login.microsoftonline.com";
  const root = authority.replace(/\/+$/, "");
  return {
    kind: "entra",
    tokenUrl: `${root}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`,
    clientId,
    ...proof,
    scope: textOf(params["azure_scope"]) ?? textOf(env["AZURE_SCOPE"]) ?? defaultScope,
  };
}

const textOf = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
