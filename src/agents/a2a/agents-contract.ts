/** The contract of agents: what a caller may ask of them, and what they are made of. */
import type { Caller } from "../../domain/call.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { RecordStore } from "../../storage/record-store.ts";
import type { SkillRuns } from "../skills/skill-runs.ts";
import type { Agent } from "./agent.ts";
import type { CardSite } from "./card.ts";
import type { AskModel } from "./model-agent.ts";
import type { Push } from "./push.ts";
import type { Registry } from "./registry.ts";
import type { ListRequest, TaskPage } from "./tasks.ts";
import type { SendRequest, Task, TaskEvent, Version } from "./wire.ts";

export interface Asker {
  readonly agent: Agent;
  readonly caller: Caller;
  readonly version: Version;
  readonly extensions: string | undefined;
  /** Aborts when the caller listens no more. */
  readonly left: AbortSignal;
}

export interface Agents {
  readonly registry: Registry;
  send(request: SendRequest, asker: Asker): Promise<TaskEvent>;
  stream(request: SendRequest, asker: Asker): Promise<AsyncIterable<TaskEvent>>;
  get(id: string, historyLength: number | undefined, asker: Asker): Promise<Task>;
  list(request: ListRequest, asker: Asker): Promise<TaskPage>;
  cancel(id: string, asker: Asker): Promise<Task>;
  subscribe(id: string, asker: Asker): Promise<AsyncIterable<TaskEvent>>;
  /** @throws A2aError taskNotFound */
  assertTask(id: string, asker: Asker): Promise<void>;
  setPush(taskId: string, config: JsonObject, asker: Asker): Promise<JsonObject>;
  readonly push: Push;
  card(agent: Agent, site: CardSite): Promise<JsonObject>;
  /**
   * Whether an agent is what is said of it, before it is registered: why its card cannot be had just
   * now, undefined where it can.
   * @throws GatewayError invalid_request where the card is wrong
   */
  check(agent: Agent): Promise<string | undefined>;
  gatewayCard(site: CardSite): Promise<JsonObject>;
  /**
   * With the gateway's signature, where the operator has said what its address is: one that a request
   * may set would have us sign anything. Cards of 0.3 alone have none.
   */
  signed(card: JsonObject, site: CardSite): Promise<JsonObject>;
  /** By which signatures are checked. */
  cardKeys(): Promise<JsonObject>;
  /** Goes on with what an earlier process left. */
  start(): void;
  close(): Promise<void>;
}

export interface AgentsParts {
  readonly records: RecordStore;
  readonly outbound: Outbound;
  readonly services: () => Services;
  readonly ask: AskModel;
  readonly skills: SkillRuns;
  readonly dataDir: string;
}
