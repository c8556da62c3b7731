/**
 * The agents: those of the configuration (`agent_list`), and those that came by the API, which stay
 * in the record store. A name belongs to one agent; the configuration's comes first.
 */
import { type AgentEntry, readAgentEntry } from "../../config/agents.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { sha256Hex } from "../../security/hashing.ts";
import type { Clock } from "../../std/clock.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { Agent } from "./agent.ts";
import { objectAt, objectsOf, present } from "./wire.ts";

const kind = "a2a_agent";
/** Agents that came by the API. */
const agentLimit = 1_000;

export interface Registry {
  find(nameOrId: string): Promise<Agent | undefined>;
  list(): Promise<readonly Agent[]>;
  /**
   * `check` is asked before it is kept.
   * @throws GatewayError invalid_request; too many; a name that is taken
   */
  add(body: JsonObject, check?: Check): Promise<Agent>;
  /**
   * Another body in the place of its own, or over it: then null takes a field away. Its id stays, its
   * version grows, what it was is kept. Undefined where it is not there.
   * @throws GatewayError as `add`, and for one of the configuration; VersionConflict
   */
  change(nameOrId: string, body: JsonObject, how: Change): Promise<Agent | undefined>;
  /** What it is and was, the newest first. */
  versions(nameOrId: string): Promise<readonly AgentVersion[] | undefined>;
  /** Says whether it was there. @throws GatewayError invalid_request for one of the configuration */
  remove(nameOrId: string): Promise<boolean>;
}

/** @throws GatewayError where the agent cannot be what is said of it */
export type Check = (agent: Agent) => Promise<void>;

export interface Change {
  readonly over: boolean;
  readonly check?: Check;
  /** The version that the caller has seen. */
  readonly ifVersion?: number | undefined;
}

export interface AgentVersion {
  readonly agent: Agent;
  readonly changedMs: number;
}

/** Former versions that are kept. */
const keptVersions = 10;

export interface RegistryParts {
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly configured: () => readonly AgentEntry[];
}

export function createRegistry({ records, clock, configured }: RegistryParts): Registry {
  const ofConfig = () =>
    configured().map((entry) => toAgent(entry, { ...ofConfiguration, id: entry.name }));

  async function find(nameOrId: string): Promise<Agent | undefined> {
    const own = ofConfig().find(({ id, name }) => name === nameOrId || id === nameOrId);
    if (own) return own;
    const byId = await records.get(kind, nameOrId);
    if (byId) return ofRecord(byId);
    const { records: found } = await records.list({ kind, tag: nameOrId, limit: 1 });
    return found[0] && ofRecord(found[0]);
  }

  return {
    find,
    async list() {
      const { records: stored } = await records.list({ kind, order: "asc", limit: agentLimit });
      const own = ofConfig();
      const names = new Set(own.map(({ name }) => name));
      return [...own, ...stored.map(ofRecord).filter(({ name }) => !names.has(name))];
    },
    async add(body, check) {
      const entry = readAgentEntry(body);
      if (await find(entry.name)) {
        throw invalid("agent_name", `'${entry.name}' is taken: delete that agent first`);
      }
      if ((await records.count({ kind })) >= agentLimit) {
        throw invalid("agent_name", `is one too many: the limit is ${agentLimit} agents`);
      }
      const value = toValue(entry);
      const id = sha256Hex(JSON.stringify(sorted(value)));
      const createdMs = clock.now();
      const agent = toAgent(entry, { id, origin: "api", createdMs, version: 1 });
      await check?.(agent);
      await records.put({ kind, id, tag: entry.name, createdMs, value });
      return agent;
    },
    async change(nameOrId, body, { over, check, ifVersion }) {
      const held = await find(nameOrId);
      if (!held) return undefined;
      if (held.origin === "config") {
        throw invalid("agent_id", `'${held.name}' stands in the configuration: change it there`);
      }
      const record = await records.get(kind, held.id);
      if (!record) return undefined;
      const { before, changedMs, ...value } = record.value;
      const version = held.version + 1;
      if (ifVersion !== undefined && ifVersion !== held.version) throw new VersionConflict(held);
      const named = { agent_name: held.name, ...body };
      const entry = readAgentEntry(over ? merged(value, body) : named);
      if (entry.name !== held.name && (await find(entry.name))) {
        throw invalid("agent_name", `'${entry.name}' is taken`);
      }
      const { id, origin, createdMs } = held;
      const agent = toAgent(entry, { id, origin, createdMs, version });
      await check?.(agent);
      const former = present({ value, changedMs: changedMs ?? createdMs, version: held.version });
      const written = await records.put(
        {
          ...{ kind, id, tag: entry.name },
          value: {
            ...toValue(entry),
            before: [former, ...objectsOf(before)].slice(0, keptVersions),
            ...{ changedMs: clock.now(), agentVersion: version },
          },
        },
        { ifVersion: record.version },
      );
      if (!written) throw new VersionConflict(held);
      return agent;
    },
    async versions(nameOrId) {
      const held = await find(nameOrId);
      if (!held) return undefined;
      const record = held.origin === "api" ? await records.get(kind, held.id) : undefined;
      const { id, origin, createdMs } = held;
      const now = Number(record?.value["changedMs"] ?? createdMs);
      const former = objectsOf(record?.value["before"]).map((each) => {
        const entry = readAgentEntry(objectAt(each, "value") ?? {});
        const version = Number(each["version"]);
        return {
          agent: toAgent(entry, { id, origin, createdMs, version }),
          changedMs: Number(each["changedMs"]),
        };
      });
      return [{ agent: held, changedMs: now }, ...former];
    },
    async remove(nameOrId) {
      const agent = await find(nameOrId);
      if (!agent) return false;
      if (agent.origin === "config") {
        throw invalid("agent_id", `'${agent.name}' stands in the configuration: remove it there`);
      }
      return records.remove(kind, agent.id);
    },
  };
}

const invalid = (param: string, problem: string) =>
  new GatewayError("invalid_request", `'${param}' ${problem}.`, { param });

/** Somebody else changed it since it was seen. */
export class VersionConflict extends Error {
  constructor({ name, version }: Agent) {
    super(
      `'${name}' has changed meanwhile: it is at version ${version}. Get it, and send your change again.`,
    );
    this.name = "VersionConflict";
  }
}

/** Fields of the second in the place of the first's; null takes one away; parameters one by one. */
function merged(value: JsonObject, body: JsonObject): JsonObject {
  const params = { ...objectAt(value, "litellm_params"), ...objectAt(body, "litellm_params") };
  const all = { ...value, ...body, litellm_params: withoutNulls(params) };
  return withoutNulls(all);
}

const withoutNulls = (of: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(of).filter(([, value]) => value !== null));

function ofRecord({ id, value, createdMs }: StoredRecord): Agent {
  const version = Number(value["agentVersion"] ?? 1);
  return toAgent(readAgentEntry(value), { id, origin: "api", createdMs, version });
}

type Facts = Pick<Agent, "id" | "origin" | "createdMs" | "version">;
const ofConfiguration = { origin: "config", createdMs: 0, version: 1 } as const;

/** As it is stored: what `readAgentEntry` reads back. */
function toValue(entry: AgentEntry): JsonObject {
  return present({
    agent_name: entry.name,
    description: entry.description,
    agent_card_params: entry.card,
    url: entry.url,
    model: entry.model,
    skill: entry.skill,
    instructions: entry.instructions === "" ? undefined : entry.instructions,
    headers: entry.headers,
    card_keys: entry.cardKeys.length > 0 ? [...entry.cardKeys] : undefined,
    litellm_params: present({ ...entry.params, api_key: entry.apiKey }),
  });
}

function toAgent(entry: AgentEntry, { id, origin, createdMs, version }: Facts): Agent {
  const { name, description, card, headers, apiKey, instructions, params } = entry;
  const authorization = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  const trust = origin === "config" ? "operator" : "strict";
  const { skill, url, cardKeys } = entry;
  const own: Agent["serves"] =
    skill === undefined
      ? { kind: "model", model: entry.model ?? "", instructions, params }
      : { kind: "skill", skill };
  return {
    ...{ id, name, description, card, origin, createdMs, version },
    serves:
      url === undefined
        ? own
        : { kind: "upstream", url, headers: { ...authorization, ...headers }, cardKeys, trust },
  };
}

function sorted(value: JsonObject): JsonObject {
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    entries.map(([key, inner]) => [key, isObject(inner) ? sorted(inner) : inner]),
  );
}
