/** `agent_list`: agents behind the gateway, and models that it publishes as agents. */
import { createPublicKey } from "node:crypto";
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Sourced } from "./merge.ts";
import { type ResolveOptions, resolveReferences } from "./references.ts";

export interface AgentEntry {
  /** In paths: `/a2a/{name}`. */
  readonly name: string;
  readonly description: string;
  /** Fields of its card. */
  readonly card: JsonObject;
  /** An agent that stands elsewhere; else `model` or `skill` is set. */
  readonly url?: string;
  readonly model?: string;
  /** Its name in the operator's folder, or the id of a registered one. */
  readonly skill?: string;
  /** The model's system message. */
  readonly instructions: string;
  /** Sent to the agent that stands elsewhere. */
  readonly headers: Readonly<Record<string, string>>;
  readonly apiKey?: string;
  /** JWKs; where there are any, the agent's card must be signed by one of them. */
  readonly cardKeys: readonly JsonObject[];
  /** Further fields of the model's call. */
  readonly params: JsonObject;
}

const map = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description }));

/** For the docs and for editors; `readAgentEntry` is what reads. */
export const AgentRow = Type.Object({
  agent_name: Type.String({ minLength: 1, description: "Its name in paths: `/a2a/{agent_name}`." }),
  description: Type.Optional(Type.String({ description: "What it is good for; in its card." })),
  url: Type.Optional(
    Type.String({
      description:
        "An A2A agent behind the gateway: its endpoint or the address of its card. May be private.",
    }),
  ),
  model: Type.Optional(
    Type.String({ description: "A model group (or `auto`) that is published as an agent." }),
  ),
  skill: Type.Optional(
    Type.String({
      description:
        "A skill that has a program and is published as an agent: its name in the skills' folder, or its id.",
    }),
  ),
  instructions: Type.Optional(Type.String({ description: "With `model`: its system message." })),
  headers: map("With `url`: header fields of every request to it."),
  card_keys: Type.Optional(
    Type.Array(Type.Unknown(), {
      description:
        "With `url`: public keys, JWK or PEM. Its card must be signed by one of them, or it is not spoken to.",
    }),
  ),
  agent_card_params: map("Fields of its card: skills, provider, version, input and output modes."),
  litellm_params: map(
    "With `url`: `api_key`, sent as Bearer. With `model`: fields of the call, such as temperature.",
  ),
});

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const cardKeyLimit = 10;
/** Words that paths use already. */
const reserved = new Set(["agents", "message"]);

/** The section's rows; what is wrong is told, with its line. */
export async function readAgentList(
  section: Sourced | undefined,
  resolve: ResolveOptions,
): Promise<readonly AgentEntry[]> {
  if (!section || section.value === null) return [];
  const { spot } = section;
  if (!Array.isArray(section.value)) {
    resolve.report.refuse(spot, "agent_list must be a list", "Write - agent_name: … below it.");
    return [];
  }
  const read: AgentEntry[] = [];
  for (const [index, written] of section.value.entries()) {
    const at = { ...spot, path: [...spot.path, index] };
    try {
      const row = await resolveReferences(written, at, resolve);
      if (!isObject(row)) throw new GatewayError("invalid_request", "A row must be a map of keys.");
      const entry = readAgentEntry(row);
      if (read.some(({ name }) => name === entry.name)) {
        throw invalid("agent_name", `'${entry.name}' stands here twice`);
      }
      read.push(entry);
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      resolve.report.refuse(at, `an agent cannot be read: ${thrown.message}`, "See docs/a2a.md.");
    }
  }
  return read;
}

const invalid = (param: string, problem: string) =>
  new GatewayError("invalid_request", `'${param}' ${problem}.`, { param });

const textAt = (of: JsonObject, name: string): string | undefined => {
  const value = of[name];
  return typeof value === "string" && value !== "" ? value : undefined;
};

/** LiteLLM's body of an agent, which is also the predecessor's. @throws GatewayError invalid_request */
export function readAgentEntry(body: JsonObject): AgentEntry {
  const name = textAt(body, "agent_name");
  if (!name || !namePattern.test(name) || reserved.has(name)) {
    throw invalid(
      "agent_name",
      "must be letters, digits, '.', '_' and '-', at most 128, and no reserved word",
    );
  }
  const card = isObject(body["agent_card_params"]) ? body["agent_card_params"] : {};
  const params = isObject(body["litellm_params"]) ? body["litellm_params"] : {};
  const url = textAt(body, "url") ?? textAt(params, "api_base") ?? textAt(card, "url");
  const skill = textAt(body, "skill") ?? textAt(params, "skill");
  const model = textAt(body, "model") ?? (url || skill ? undefined : textAt(params, "model"));
  if ([url, model, skill].filter(Boolean).length > 1)
    throw invalid("url", "(or 'api_base'), 'model' and 'skill' exclude one another");
  if (!url && !model && !skill) {
    throw invalid(
      "url",
      "is missing: an agent's address, or 'model', a model group to publish, or 'skill'",
    );
  }
  if (url) assertUrl(url);
  assertCard(card);
  const { model: _model, api_base: _base, api_key: key, headers, instructions, ...more } = params;
  return {
    name,
    description: textAt(body, "description") ?? textAt(card, "description") ?? "",
    card,
    ...(url ? { url } : {}),
    ...(model ? { model } : {}),
    ...(skill ? { skill } : {}),
    instructions:
      textAt(body, "instructions") ?? (typeof instructions === "string" ? instructions : ""),
    headers: readHeaders({
      ...(isObject(headers) ? headers : {}),
      ...(isObject(body["headers"]) ? body["headers"] : {}),
    }),
    ...(typeof key === "string" && key !== "" ? { apiKey: key } : {}),
    cardKeys: url ? readKeys(body["card_keys"]) : [],
    params: model ? more : {},
  };
}

function assertUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const fine = parsed && (parsed.protocol === "http:" || parsed.protocol === "https:");
  if (!fine || parsed.username !== "" || parsed.password !== "") {
    throw invalid("url", "must be an http or https address without a user in it");
  }
}

const isTexts = (value: Json | undefined) =>
  Array.isArray(value) && value.every((each) => typeof each === "string" && each !== "");

/** Fields that cards need, so far as they are given: what clients would stumble over is refused. */
function assertCard(card: JsonObject): void {
  const wrong = (field: string, remedy: string) =>
    invalid("agent_card_params", `has a '${field}' that is none: ${remedy}`);
  const { skills, capabilities } = card;
  for (const field of ["name", "description", "version"]) {
    if (card[field] !== undefined && !textAt(card, field)) throw wrong(field, "write a text");
  }
  for (const field of ["defaultInputModes", "defaultOutputModes"]) {
    if (card[field] === undefined || isTexts(card[field])) continue;
    throw wrong(field, 'write a list of media types, such as ["text/plain"]');
  }
  if (capabilities !== undefined && !isObject(capabilities)) {
    throw wrong("capabilities", "write a map, such as {streaming: true}");
  }
  const fits = (skill: Json) =>
    isObject(skill) &&
    ["id", "name", "description"].every((field) => textAt(skill, field)) &&
    isTexts(skill["tags"]);
  if (skills !== undefined && !(Array.isArray(skills) && skills.every(fits))) {
    throw wrong("skills", "each needs an id, a name, a description and tags, a list of texts");
  }
}

function readKeys(keys: Json | undefined): readonly JsonObject[] {
  if (keys === undefined || keys === null) return [];
  if (!Array.isArray(keys) || keys.length > cardKeyLimit) {
    throw invalid("card_keys", `must be a list of at most ${cardKeyLimit} keys`);
  }
  return keys.map((key, index) => {
    try {
      const format = isObject(key) ? "jwk" : "pem";
      const read = createPublicKey({ key, format } as Parameters<typeof createPublicKey>[0]);
      const named = isObject(key) && typeof key["kid"] === "string" ? { kid: key["kid"] } : {};
      return { ...(read.export({ format: "jwk" }) as JsonObject), ...named };
    } catch {
      throw invalid("card_keys", `has a key (${index + 1}.) that is no public key`);
    }
  });
}

function readHeaders(headers: JsonObject): Record<string, string> {
  const read: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const fits =
      /^[\w!#$%&'*+.^`|~-]+$/.test(name) && typeof value === "string" && !/[\r\n\0]/.test(value);
    if (!fits) throw invalid("headers", `has a field that is none: ${name.slice(0, 40)}`);
    read[name.toLowerCase()] = value;
  }
  return read;
}
