/** Where responses rest that can be asked for later, or gone on from. Bounded, and they expire. */
import type { JsonObject } from "../domain/json.ts";

export interface StoredResponse {
  readonly id: string;
  /** Who made it: nobody else may see it. */
  readonly caller: string;
  readonly createdMs: number;
  readonly requestedModel: string;
  /** Where it was made. */
  readonly deployment: string;
  readonly candidate: string;
  /** The one that it went on from, where that is ours too. */
  readonly previous?: string;
  /**
   * The response and the items of its own input, where the gateway keeps them. Missing where the
   * provider does: then the row only says which provider that is.
   */
  readonly kept?: KeptResponse;
}

export interface KeptResponse {
  readonly response: JsonObject;
  readonly input: readonly JsonObject[];
}

export interface ResponseLimits {
  readonly maxRows: number;
  readonly maxAgeDays: number;
  readonly maxBytes: number;
}

/** The background job that makes a response: it says from time to time that it still runs. */
export interface Lease {
  readonly id: string;
  readonly untilMs: number;
}

/** @throws GatewayError storage_failed from every method, when nothing can be read or written. */
export interface ResponseStore {
  /** Inserts or replaces. What it goes on from is kept as long as it is. */
  put(stored: StoredResponse): Promise<void>;
  /** Replaces what is there; nothing where it was deleted meanwhile. */
  update(stored: StoredResponse): Promise<void>;
  find(id: string): Promise<StoredResponse | undefined>;
  /** The response and those before it, oldest first, at most `limit` of them. */
  chain(id: string, limit: number): Promise<readonly StoredResponse[]>;
  /** Says whether there was one. */
  remove(id: string): Promise<boolean>;
  /** Prolongs a job's lease. Says whether somebody asked for its end, or deleted it. */
  renew(lease: Lease): Promise<"go on" | "stop">;
  /** When the job's lease ends; undefined where it has none. */
  leaseOf(id: string): Promise<number | undefined>;
  /** Asks a job for its end, whichever process it runs in. */
  stop(id: string): Promise<void>;
  /** Undefined where all is well. */
  readonly problem: string | undefined;
  close(): Promise<void>;
}

export const responseFileName = "responses.db";

export const defaultResponseLimits: ResponseLimits = {
  maxRows: 100_000,
  maxAgeDays: 30, // as OpenAI keeps them
  maxBytes: 1024 ** 3,
};
