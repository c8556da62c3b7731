/**
 * The APIs that keep things, and agents: built in order, closed in reverse, apart from the wiring of
 * calls, which knows nothing of them.
 */
import { join } from "node:path";
import { type Agents, createAgents } from "./agents/a2a/agents.ts";
import { createMcp, type Mcp } from "./agents/mcp/mcp.ts";
import { createSkillParts, type SkillParts } from "./agents/skills/skill-parts.ts";
import type { Observation } from "./observation.ts";
import type { Services } from "./pipeline/services.ts";
import { askModel } from "./resources/assistants/ask-model.ts";
import { type Assistants, createAssistants } from "./resources/assistants/assistants.ts";
import { type Batches, createBatches } from "./resources/batches/batches.ts";
import { createFiles, type Files } from "./resources/files/files.ts";
import { startUpkeep } from "./resources/upkeep.ts";
import { createVectorStores, type VectorStores } from "./resources/vector-stores/vector-stores.ts";
import type { Outbound } from "./security/outbound.ts";
import { createFileBlobStore } from "./storage/file/blob-store.ts";

export interface MemoryApis {
  readonly files: Files;
  readonly batches: Batches;
  readonly assistants: Assistants;
  readonly vectorStores: VectorStores;
  readonly mcp: Mcp;
  readonly agents: Agents;
  readonly skills: SkillParts;
}

export interface MemoryApiOptions {
  readonly observation: Observation;
  readonly services: () => Services;
  readonly dataDir: string;
  readonly outbound: Outbound;
}

export interface RunningMemoryApis {
  readonly apis: MemoryApis;
  /** Ends what runs; what can be gone on with is gone on with by the next process. */
  close(): Promise<void>;
}

/** Passages that an assistant's search is told of. */
const passagesFound = 20;

/** Goes on at once with the batches and files that an earlier process left. */
export function startMemoryApis(options: MemoryApiOptions): RunningMemoryApis {
  const { observation, services, dataDir, outbound } = options;
  const { records, telemetry } = observation;
  const { clock } = services();
  const files = createFiles({
    records,
    blobs: createFileBlobStore(join(dataDir, "files")),
    clock,
    limits: () => services().config.routeiq.files,
  });
  const batches = createBatches({ records, files, dataDir, services });
  batches.start();
  const vectorStores = createVectorStores({
    records,
    files,
    vectors: observation.vectors,
    documents: observation.library.service("documents"),
    dataDir,
    services,
  });
  vectorStores.start();
  const assistants = createAssistants({
    records,
    files,
    services,
    async searchFiles(ids, query, caller) {
      const asked = { queries: [query], limit: passagesFound, threshold: 0 };
      const found = await vectorStores.find(ids, asked, caller);
      return found.map(({ document, filename, text }) => ({ fileId: document, filename, text }));
    },
  });
  const skills = createSkillParts({
    records,
    services,
    // Next to this file in the source, and an entry point of its own in the binary.
    spawn: () => new Worker(new URL("./worker.ts", import.meta.url).href),
  });
  const mcp = createMcp({ records, outbound, services });
  const agents = createAgents({ records, outbound, services, ask: askModel });
  const stopUpkeep = startUpkeep({ dataDir, clock, telemetry, files });
  return {
    apis: {
      files,
      batches,
      assistants,
      vectorStores,
      mcp,
      agents,
      skills,
    },
    async close() {
      stopUpkeep();
      skills.close();
      await Promise.all([
        mcp.close(),
        agents.close(),
        assistants.runs.close(),
        batches.close(),
        vectorStores.close(),
      ]);
    },
  };
}
