/** What runs are made of, and whom they tell. */
import type { HostedSource, HostedTool } from "../../domain/hosted-tool.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import type { RecordStore } from "../../storage/record-store.ts";
import type { Files } from "../files/files.ts";

export interface RunWork {
  readonly records: RecordStore;
  readonly files: Files;
  readonly services: () => Services;
  /** A search of the stores that a run may look into, with the options of its `file_search`. */
  readonly searchTool: (storeIds: readonly string[], options: JsonObject) => HostedTool;
  /** Who has the other tools that the gateway runs. */
  readonly hosted: () => readonly HostedSource[];
}

/** Tells of everything that happens, in the API's events. */
export type Tell = (event: string, data: JsonObject) => void;
