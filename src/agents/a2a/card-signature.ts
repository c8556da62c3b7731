/**
 * Signatures of agents' cards: JWS over the card in canonical JSON, without its signatures, without
 * what revision 1.0 does not know, and without what says nothing.
 * Source: https://a2a-protocol.org/v1.0.0/specification/ §8.4; RFC 7515; RFC 8785.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { findKeys, isSignedBy, TokenRefused } from "../../security/jwt.ts";
import { A2aError } from "./errors.ts";
import { objectsOf, textAt } from "./wire.ts";

/** Of a message of the schema: each field it has → whose; `plain` is taken as it is. */
type Shape = { readonly [field: string]: Shape | "plain" | readonly ["list" | "map", Shape] };

const requirement: Shape = { schemes: ["map", { list: "plain" }] };
const flow: Shape = {
  ...{ authorizationUrl: "plain", deviceAuthorizationUrl: "plain", tokenUrl: "plain" },
  ...{ refreshUrl: "plain", scopes: "plain", pkceRequired: "plain" },
};
const scheme: Shape = {
  apiKeySecurityScheme: { description: "plain", location: "plain", name: "plain" },
  httpAuthSecurityScheme: { description: "plain", scheme: "plain", bearerFormat: "plain" },
  oauth2SecurityScheme: {
    description: "plain",
    flows: {
      ...{ authorizationCode: flow, clientCredentials: flow, implicit: flow, password: flow },
      deviceCode: flow,
    },
    oauth2MetadataUrl: "plain",
  },
  openIdConnectSecurityScheme: { description: "plain", openIdConnectUrl: "plain" },
  mtlsSecurityScheme: { description: "plain" },
};
const extension: Shape = {
  ...{ uri: "plain", description: "plain", required: "plain", params: "plain" },
};
const skill: Shape = {
  ...{ id: "plain", name: "plain", description: "plain", tags: "plain", examples: "plain" },
  ...{ inputModes: "plain", outputModes: "plain", securityRequirements: ["list", requirement] },
};
const cardShape: Shape = {
  ...{ name: "plain", description: "plain", version: "plain", documentationUrl: "plain" },
  ...{ iconUrl: "plain", defaultInputModes: "plain", defaultOutputModes: "plain" },
  provider: { url: "plain", organization: "plain" },
  supportedInterfaces: [
    "list",
    { url: "plain", protocolBinding: "plain", tenant: "plain", protocolVersion: "plain" },
  ],
  capabilities: {
    ...{ streaming: "plain", pushNotifications: "plain", extendedAgentCard: "plain" },
    extensions: ["list", extension],
  },
  securitySchemes: ["map", scheme],
  securityRequirements: ["list", requirement],
  skills: ["list", skill],
};

/** Fields of no presence of their own: false is as good as not there. */
const quietWhenFalse: ReadonlySet<string> = new Set(["required", "pkceRequired"]);

/** What is signed. */
export function canonicalCard(card: JsonObject): string {
  return canonical(meaningful(projected(card, cardShape)) ?? {});
}

function projected(value: JsonObject, shape: Shape): JsonObject {
  const kept: Record<string, Json> = {};
  for (const [field, of] of Object.entries(shape)) {
    const found = value[field];
    if (found === undefined || (found === false && quietWhenFalse.has(field))) continue;
    if (of === "plain") kept[field] = found;
    else if (isList(of)) kept[field] = projectedAll(found, of);
    else if (isObject(found)) kept[field] = projected(found, of);
  }
  return kept;
}

const isList = (of: Shape[string]): of is readonly ["list" | "map", Shape] => Array.isArray(of);

function projectedAll(found: Json, [kind, shape]: readonly ["list" | "map", Shape]): Json {
  if (kind === "list") return objectsOf(found).map((each) => projected(each, shape));
  if (!isObject(found)) return {};
  const entries = Object.entries(found).filter((entry): entry is [string, JsonObject] =>
    isObject(entry[1]),
  );
  return Object.fromEntries(entries.map(([name, each]) => [name, projected(each, shape)]));
}

/** Without empty texts, lists and objects, at any depth. */
function meaningful(value: Json): Json | undefined {
  if (value === "" || value === null) return undefined;
  if (Array.isArray(value)) {
    const kept = value.map(meaningful).filter((each) => each !== undefined);
    return kept.length > 0 ? kept : undefined;
  }
  if (!isObject(value)) return value;
  const kept = Object.entries(value)
    .map(([name, each]) => [name, each === undefined ? undefined : meaningful(each)] as const)
    .filter((entry): entry is readonly [string, Json] => entry[1] !== undefined);
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}

/** RFC 8785: names in the order of their UTF-16 units; numbers and texts as JavaScript writes them. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const parts = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name] ?? null)}`);
  return `{${parts.join(",")}}`;
}

const signatureLimit = 10;

/** @throws A2aError invalidAgentResponse where none of its signatures is by one of the keys */
export async function assertSigned(card: JsonObject, keys: readonly JsonObject[]): Promise<void> {
  const payload = Buffer.from(canonicalCard(card)).toString("base64url");
  for (const { protected: head, signature } of objectsOf(card["signatures"]).slice(
    0,
    signatureLimit,
  )) {
    if (typeof head !== "string" || typeof signature !== "string") continue;
    const { alg, kid, crit } = readHead(head);
    if (typeof alg !== "string" || crit !== undefined) continue;
    const jws = {
      ...{ algorithm: alg, keyId: typeof kid === "string" ? kid : undefined, claims: {} },
      signed: new TextEncoder().encode(`${head}.${payload}`),
      signature: new Uint8Array(Buffer.from(signature, "base64url")),
    };
    for (const key of keysFor(keys, jws)) if (await isSignedBy(jws, key)) return;
  }
  const name = textAt(card, "name")?.slice(0, 100) ?? "";
  const message = `The card of the agent '${name}' is signed by none of the keys in its card_keys.`;
  throw new A2aError("invalidAgentResponse", message);
}

function readHead(head: string): JsonObject {
  try {
    const value: unknown = JSON.parse(Buffer.from(head, "base64url").toString());
    return isObject(value) ? value : {};
  } catch {
    return {}; // a signature that nobody can read is none
  }
}

function keysFor(keys: readonly JsonObject[], jws: Parameters<typeof isSignedBy>[0]) {
  try {
    return findKeys(keys, jws);
  } catch (thrown) {
    if (thrown instanceof TokenRefused) return []; // an algorithm without a public key
    throw thrown;
  }
}
