/** An agent that the gateway serves: somebody else's behind it, or one of its own models. */

import type { Caller } from "../../domain/call.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { SendRequest, Task, TaskEvent } from "./wire.ts";

export interface Agent {
  /** For clients that speak of ids; the name's own where it comes by configuration. */
  readonly id: string;
  /** In paths: `/a2a/{name}`. */
  readonly name: string;
  readonly description: string;
  /** Fields of its card that were given: skills, provider, modes, version. */
  readonly card: JsonObject;
  readonly origin: "config" | "api";
  readonly createdMs: number;
  /** Grows with every change by the API; 1 for one of the configuration. */
  readonly version: number;
  readonly serves: ModelTarget | SkillTarget | UpstreamTarget;
}

/** The gateway does its work itself, and keeps its tasks. */
export const isOwn = ({ serves }: Agent): boolean => serves.kind !== "upstream";

export interface ModelTarget {
  readonly kind: "model";
  /** A model group, or `auto`. */
  readonly model: string;
  /** The system message. */
  readonly instructions: string;
  /** Further fields of the chat call: temperature, max_tokens. */
  readonly params: JsonObject;
}

export interface SkillTarget {
  readonly kind: "skill";
  /** Its name in the operator's folder, or the id of a registered one. */
  readonly skill: string;
}

export interface UpstreamTarget {
  readonly kind: "upstream";
  /** Of its card, or where that says so of its endpoint. */
  readonly url: string;
  /** Sent with every request: what it wants to see of us. Never the caller's own. */
  readonly headers: Readonly<Record<string, string>>;
  /** JWKs: its card must be signed by one of them; none: signed or not. */
  readonly cardKeys: readonly JsonObject[];
  /** `operator`: what the configuration says may be on a private network. */
  readonly trust: "operator" | "strict";
}

/** What an executor is told of the message it has to answer. */
export interface Work {
  readonly agent: Agent;
  readonly caller: Caller;
  readonly request: SendRequest;
  /** The task it goes on with, or the new one; not yet known upstream. */
  readonly task: Task;
  readonly isNew: boolean;
  /** How an upstream agent calls them, where it has said so. */
  readonly upstream: UpstreamIds | undefined;
  /** Extensions that the caller asked for. */
  readonly extensions: string | undefined;
  /** Events are wanted as they come. */
  readonly stream: boolean;
  readonly signal: AbortSignal;
  /** Told once, as soon as it is known. */
  readonly onUpstream: (ids: UpstreamIds) => void;
  /**
   * The message has been answered, though its task goes on: nobody waits for what follows. False
   * where so many are followed that this one is not.
   */
  readonly onAnswered: () => boolean;
}

export interface UpstreamIds {
  readonly taskId: string;
  readonly contextId: string;
}

/** Events carry the gateway's ids. @throws A2aError, GatewayError, CallFailed */
export type Execute = (work: Work) => AsyncIterable<TaskEvent>;
