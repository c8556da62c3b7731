/**
 * Agents' cards as the gateway shows them: every address is the gateway's own, every credential one
 * of its keys. What an agent that stands elsewhere says of itself is kept, but for those.
 */
import type { JsonObject } from "../../domain/json.ts";
import { type Agent, isOwn } from "./agent.ts";
import { objectAt, objectsOf, present, textAt, textsOf, type Version } from "./wire.ts";

export interface CardSite {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  /** The gateway's own. */
  readonly version: string;
  /** Which revision's card; `both`: one that clients of either can read. */
  readonly form: Version | "both";
}

const textModes = ["text/plain"];

/** `remote`: the card of an agent that stands elsewhere, or what a skill says of itself. */
export function toCard(agent: Agent, remote: JsonObject | undefined, site: CardSite): JsonObject {
  const said: JsonObject = { ...remote, ...agent.card };
  const capabilities = objectAt(said, "capabilities") ?? {};
  const own = isOwn(agent);
  return shape(
    {
      name: textAt(agent.card, "name") ?? (own ? agent.name : (textAt(said, "name") ?? agent.name)),
      description: agent.description || textAt(said, "description") || `The agent ${agent.name}.`,
      version: textAt(said, "version") ?? site.version,
      url: `${site.baseUrl}/a2a/${encodeURIComponent(agent.name)}`,
      provider: objectAt(said, "provider"),
      documentationUrl: textAt(said, "documentationUrl"),
      iconUrl: textAt(said, "iconUrl"),
      streaming: own || capabilities["streaming"] === true,
      extensions: objectsOf(capabilities["extensions"]),
      inputModes: modesOf(said, "defaultInputModes"),
      outputModes: modesOf(said, "defaultOutputModes"),
      skills: skillsOf(agent, said),
      rest: true,
    },
    site.form,
  );
}

/** The gateway's own card: its agents are its skills; `tenant` says which one is meant. */
export function toGatewayCard(agents: readonly Agent[], site: CardSite): JsonObject {
  return shape(
    {
      name: "RouteIQ A2A Gateway",
      description:
        "Agents behind one gateway. Each has a card of its own at /a2a/{name}/.well-known/agent-card.json; here a request names the one it means as its tenant.",
      version: site.version,
      url: `${site.baseUrl}/a2a`,
      streaming: true,
      extensions: [],
      inputModes: textModes,
      outputModes: textModes,
      skills: agents.map(({ name, description }) => ({
        ...{ id: name, name, description: description || `The agent ${name}.` },
        tags: ["agent"],
      })),
      rest: false,
    },
    site.form,
  );
}

interface Facts {
  readonly name: string;
  readonly description: string;
  readonly version: string;
  readonly url: string;
  readonly provider?: JsonObject | undefined;
  readonly documentationUrl?: string | undefined;
  readonly iconUrl?: string | undefined;
  readonly streaming: boolean;
  readonly extensions: readonly JsonObject[];
  readonly inputModes: readonly string[];
  readonly outputModes: readonly string[];
  readonly skills: readonly JsonObject[];
  /** The HTTP+JSON binding is served there. */
  readonly rest: boolean;
}

function shape(facts: Facts, form: CardSite["form"]): JsonObject {
  const { name, description, version, url, streaming, extensions } = facts;
  const { provider, documentationUrl, iconUrl } = facts;
  const abilities = {
    streaming,
    pushNotifications: true,
    ...(extensions.length > 0 ? { extensions } : {}),
  };
  const older: JsonObject = {
    protocolVersion: "0.3.0",
    url,
    preferredTransport: "JSONRPC",
    additionalInterfaces: [
      { url, transport: "JSONRPC" },
      ...(facts.rest ? [{ url, transport: "HTTP+JSON" }] : []),
    ],
    supportsAuthenticatedExtendedCard: true,
    security: [{ bearer: [] }],
  };
  const newer: JsonObject = {
    supportedInterfaces: [
      { url, protocolBinding: "JSONRPC", protocolVersion: "1.0" },
      ...(facts.rest ? [{ url, protocolBinding: "HTTP+JSON", protocolVersion: "1.0" }] : []),
      { url, protocolBinding: "JSONRPC", protocolVersion: "0.3" },
      ...(facts.rest ? [{ url, protocolBinding: "HTTP+JSON", protocolVersion: "0.3" }] : []),
    ],
    securityRequirements: [{ schemes: { bearer: { list: [] } } }],
  };
  const bearer = {
    ...(form === "1.0"
      ? {}
      : { type: "http", scheme: "bearer", description: "A key of the gateway." }),
    ...(form === "0.3"
      ? {}
      : { httpAuthSecurityScheme: { scheme: "Bearer", description: "A key of the gateway." } }),
  };
  return present({
    ...{ name, description, version, provider, documentationUrl, iconUrl },
    ...(form === "1.0" ? {} : older),
    ...(form === "0.3" ? {} : newer),
    capabilities: {
      ...abilities,
      ...(form === "1.0" ? {} : { stateTransitionHistory: true }),
      ...(form === "0.3" ? {} : { extendedAgentCard: true }),
    },
    securitySchemes: { bearer },
    defaultInputModes: [...facts.inputModes],
    defaultOutputModes: [...facts.outputModes],
    skills: [...facts.skills],
  });
}

function modesOf(said: JsonObject, name: string): readonly string[] {
  const modes = textsOf(said[name]);
  return modes.length > 0 ? modes : textModes;
}

/** Revision 1.0 asks for one at least. */
function skillsOf({ name, description }: Agent, said: JsonObject): readonly JsonObject[] {
  const skills = objectsOf(said["skills"]).map(
    ({ security: _security, securityRequirements: _requirements, ...skill }) => skill,
  );
  if (skills.length > 0) return skills;
  return [{ id: name, name, description: description || `Talk with ${name}.`, tags: ["chat"] }];
}

/** With the caller known: which agents there are beside it and how a task is kept. */
export function toExtendedCard(card: JsonObject, more: JsonObject): JsonObject {
  const capabilities = objectAt(card, "capabilities") ?? {};
  const extension = {
    uri: "urn:routeiq:a2a:limits:1",
    description: "What the gateway keeps and allows.",
    required: false,
    params: more,
  };
  const extensions = [...objectsOf(capabilities["extensions"]), extension];
  return { ...card, capabilities: { ...capabilities, extensions } };
}
