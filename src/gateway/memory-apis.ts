/**
 * The APIs that keep things, and agents: built in order, closed in reverse, apart from the wiring of
 * calls, which knows nothing of them.
 */
import { join } from "node:path";
import { createAgents } from "../agents/a2a/agents.ts";
import type { Agents } from "../agents/a2a/agents-contract.ts";
import { createMcpSource } from "../agents/mcp/hosted-source.ts";
import { createMcp, type Mcp } from "../agents/mcp/mcp.ts";
import { createSkillSource } from "../agents/skills/hosted-source.ts";
import { createSkillParts, type SkillParts } from "../agents/skills/skill-parts.ts";
import { createSkillServer } from "../agents/skills/skill-server.ts";
import type { Config } from "../config/config.ts";
import type { HostedSource } from "../domain/hosted-tool.ts";
import type { S3Settings } from "../learning/artifacts/open-repository.ts";
import type { Services } from "../pipeline/services.ts";
import { recordTool } from "../pipeline/tool-receipt.ts";
import { askModel } from "../resources/assistants/ask-model.ts";
import { type Assistants, createAssistants } from "../resources/assistants/assistants.ts";
import { type Batches, createBatches } from "../resources/batches/batches.ts";
import { createFiles, type Files } from "../resources/files/files.ts";
import { createFineTuning, type FineTuning } from "../resources/fine-tuning/jobs.ts";
import { startUpkeep } from "../resources/upkeep.ts";
import { createUploads, type Uploads } from "../resources/uploads/uploads.ts";
import { createVectorBackends } from "../resources/vector-stores/backends.ts";
import { createDocumentReader } from "../resources/vector-stores/document-reader.ts";
import {
  createSearchSource,
  createSearchTool,
  type SearchEnd,
} from "../resources/vector-stores/hosted-source.ts";
import { createRegisteredStores } from "../resources/vector-stores/registered.ts";
import { createVectorStores, type VectorStores } from "../resources/vector-stores/vector-stores.ts";
import type { Outbound } from "../security/outbound.ts";
import { createSealer, type SealingSecrets } from "../security/sealing.ts";
import { createFileBlobStore } from "../storage/file/blob-store.ts";
import { makeSealingSecret, readSealingSecret } from "../storage/file/sealing-secret.ts";
import { createS3BlobStore } from "../storage/s3/blob-store.ts";
import { createSealedRecords, type SealedRecords } from "../storage/sealed-records.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Observation } from "./observation.ts";
import { workerUrl } from "./worker-url.ts";

export interface MemoryApis {
  readonly files: Files;
  readonly uploads: Uploads;
  readonly fineTuning: FineTuning;
  readonly batches: Batches;
  readonly assistants: Assistants;
  readonly vectorStores: VectorStores;
  readonly mcp: Mcp;
  readonly agents: Agents;
  readonly skills: SkillParts;
  /** Who has tools that the gateway runs for a model. */
  readonly hosted: readonly HostedSource[];
}

export interface MemoryApiOptions {
  readonly observation: Observation;
  readonly services: () => Services;
  readonly dataDir: string;
  readonly outbound: Outbound;
  /** For contents on S3. */
  readonly s3: S3Settings;
}

// Next to this file in the source, and an entry point of its own in the binary.
const spawn = () => new Worker(workerUrl());

export interface RunningMemoryApis {
  readonly apis: MemoryApis;
  /** Ends what runs; what can be gone on with is gone on with by the next process. */
  close(): Promise<void>;
}

/** Goes on at once with the batches, files and agents' tasks that an earlier process left. */
export function startMemoryApis(options: MemoryApiOptions): RunningMemoryApis {
  const { observation, services, dataDir, outbound, s3 } = options;
  const { telemetry } = observation;
  const { clock } = services();
  const sealer = createSealer(() => sealingSecrets(services().config, dataDir));
  const records = createSealedRecords(observation.records, sealer);
  const sealing = sealOld(records, telemetry);
  const { to } = services().config.routeiq.files;
  const blobs =
    to === undefined
      ? createFileBlobStore(join(dataDir, "files"))
      : createS3BlobStore({ url: to, ...s3, outbound, clock });
  const fileLimits = () => services().config.routeiq.files;
  const files = createFiles({
    records,
    blobs,
    clock,
    limits: fileLimits,
  });
  const uploads = createUploads({ records, blobs, files, clock, limits: fileLimits });
  const batches = createBatches({ records, files, dataDir, services });
  batches.start();
  const backends = createVectorBackends({
    embedded: observation.vectors,
    settings: () => services().config.routeiq.vectorStores,
    outbound,
    clock,
  });
  const vectorStores = createVectorStores({
    registered: createRegisteredStores(() => services().config, outbound),
    records,
    files,
    backends,
    documents: observation.library.service("documents"),
    reader: createDocumentReader({
      spawn,
      clock,
      timeoutMs: () => services().config.routeiq.vectorStores.documentTimeoutMs,
    }),
    dataDir,
    services,
  });
  vectorStores.start();
  const onSearch = (end: SearchEnd) => recordSearch(end, services());
  const assistants = createAssistants({
    records,
    files,
    services,
    searchTool: (ids, entry) =>
      createSearchTool({ ids, entry, stores: vectorStores, clock, onSearch }),
    hosted: () => hosted,
  });
  const skills = createSkillParts({
    records,
    services,
    dataDir,
    spawn,
  });
  const documents = observation.library.service("documents");
  const mcp = createMcp({
    sealer,
    records,
    outbound,
    services,
    inner: [createSkillServer(skills.runs)],
    async embed(texts) {
      const { values, dimensions } = await documents.call("embed", texts);
      return texts.map((_, i) => values.subarray(i * dimensions, (i + 1) * dimensions));
    },
  });
  const hosted: readonly HostedSource[] = [
    createMcpSource(mcp, services),
    createSkillSource(skills.runs),
    createSearchSource({ stores: vectorStores, clock, onSearch, services }),
  ];
  const agents = createAgents({
    ...{ records, outbound, services, ask: askModel },
    skills: skills.runs,
    dataDir,
  });
  agents.start();
  const fineTuning = createFineTuning({ records, files, outbound, services });
  const sweep = async () => {
    await fineTuning.settle();
    return (await files.sweep()) + (await uploads.sweep());
  };
  const stopUpkeep = startUpkeep({ dataDir, clock, telemetry, sweep });
  return {
    apis: {
      files,
      uploads,
      fineTuning,
      batches,
      assistants,
      vectorStores,
      mcp,
      agents,
      skills,
      hosted,
    },
    async close() {
      stopUpkeep();
      skills.close();
      await Promise.all([
        sealing,
        mcp.close(),
        agents.close(),
        assistants.runs.close(),
        batches.close(),
        vectorStores.close(),
      ]);
      await backends.close();
      blobs.close();
    },
  };
}

/**
 * The salt key, else the master key, else one of the gateway's own. What stood in for it before is
 * still tried, so that an operator who names one loses nothing.
 */
async function sealingSecrets(config: Config, dataDir: string): Promise<SealingSecrets> {
  const { saltKey, previousSaltKeys } = config.routeiq.encryption;
  const named = [saltKey, config.general.masterKey, ...previousSaltKeys];
  const made = await readSealingSecret(dataDir);
  const [current, ...previous] = [...named, made].filter((each) => each !== undefined);
  return { current: current ?? (await makeSealingSecret(dataDir)), previous };
}

/** What lay there in plain text, or under a former key. Nobody waits for it. */
async function sealOld(records: SealedRecords, telemetry: Telemetry): Promise<void> {
  try {
    const written = await records.sealOld();
    if (written > 0)
      telemetry.log("info", "registered credentials were encrypted anew", { written });
  } catch (error) {
    telemetry.log("error", "old records could not be encrypted; tried again at the next start", {
      error,
    });
  }
}

function recordSearch({ stores, error, ...end }: SearchEnd, services: Services): void {
  recordTool(
    {
      ...end,
      callId: Bun.randomUUIDv7(),
      operation: "vector_search",
      name: stores.join(","),
      provider: "vector_stores",
      outcome: error === undefined ? "success" : "failure",
      ...(error === undefined ? {} : { error }),
    },
    services,
  );
}
