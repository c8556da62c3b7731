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
import { present } from "./wire.ts";

const kind = "a2a_agent";
/** Agents that came by the API. */
const agentLimit = 1_000;

export interface Registry {
  find(nameOrId: string): Promise<Agent | undefined>;
  list(): Promise<readonly Agent[]>;
  /** @throws GatewayError invalid_request; too many; a name that is taken */
  add(body: JsonObject): Promise<Agent>;
  /** Says whether it was there. @throws GatewayError invalid_request for one of the configuration */
  remove(nameOrId: string): Promise<boolean>;
}

export interface RegistryParts {
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly configured: () => readonly AgentEntry[];
}

export function createRegistry({ records, clock, configured }: RegistryParts): Registry {
  const ofConfig = () => configured().map((entry) => toAgent(entry.name, entry, "config", 0));

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
    async add(body) {
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
      await records.put({ kind, id, tag: entry.name, createdMs, value });
      return toAgent(id, entry, "api", createdMs);
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

function ofRecord({ id, value, createdMs }: StoredRecord): Agent {
  return toAgent(id, readAgentEntry(value), "api", createdMs);
}

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

function toAgent(id: string, entry: AgentEntry, origin: Agent["origin"], createdMs: number): Agent {
  const { name, description, card, headers, apiKey, instructions, params } = entry;
  const authorization = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  const trust = origin === "config" ? "operator" : "strict";
  const { skill, url, cardKeys } = entry;
  const own: Agent["serves"] =
    skill === undefined
      ? { kind: "model", model: entry.model ?? "", instructions, params }
      : { kind: "skill", skill };
  return {
    ...{ id, name, description, card, origin, createdMs },
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
