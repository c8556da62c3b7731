/** The skills of a gateway, put together: the operator's folder, the registered ones, their runner. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { denyClosed, grantsOf } from "../../pipeline/grants.ts";
import type { Services } from "../../pipeline/services.ts";
import { recordTool } from "../../pipeline/tool-receipt.ts";
import type { WorkerLike } from "../../std/background.ts";
import { build } from "../../std/build.ts";
import type { RecordStore } from "../../storage/record-store.ts";
import type { PythonPlaces } from "./python/places.ts";
import { createSkillRunner } from "./runner.ts";
import { createSkillFolder, type SkillFolder } from "./skill-folder.ts";
import { createSkillRuns, type SkillRuns } from "./skill-runs.ts";
import { createSkillStore, type SkillGate } from "./skill-store.ts";
import { createSkills, type Skills } from "./skills.ts";

export interface SkillParts {
  readonly skills: Skills;
  /** Those that run, for whoever offers them as tools or as agents. */
  readonly runs: SkillRuns;
  readonly folder: SkillFolder;
  close(): void;
}

export interface SkillPartsOptions {
  readonly records: RecordStore;
  readonly services: () => Services;
  readonly spawn: () => WorkerLike;
  readonly dataDir: string;
}

/** Where the predecessor looks. */
const usualFolders = ["skills", "docs/skills"];
const maxWaiting = 100;

export function createSkillParts(options: SkillPartsOptions): SkillParts {
  const { records, services, spawn, dataDir } = options;
  const { clock, config, telemetry } = services();
  const settings = () => services().config.routeiq.skills;
  const folder = createSkillFolder({
    path: config.routeiq.skills.folder ?? usualFolders.find((path) => existsSync(path)),
    clock,
    onProblem: (message) => telemetry.log("warn", message, {}),
  });
  const runner = createSkillRunner({
    spawn,
    clock,
    concurrency: () => settings().concurrency,
    maxWaiting,
    python: () => toPythonPlaces(dataDir, settings().pythonRuntime),
  });
  const gate: SkillGate = {
    listed: (caller) => grantsOf(caller, services())?.skills,
    deny: (name, caller) => denyClosed({ what: "skill", name }, caller, services()),
  };
  const store = createSkillStore(records, gate);
  const runs = createSkillRuns({
    ...{ store, gate, folder, runner, clock, settings },
    onRun: ({ skill, startedMs, ...end }) =>
      recordTool(
        {
          ...end,
          operation: "skill_run",
          name: skill,
          provider: "skills",
          startedAtMs: startedMs,
        },
        services(),
      ),
  });
  return {
    folder,
    runs,
    skills: createSkills({ records, store, runs, gate }),
    close: runner.close,
  };
}

/** Beside the binary; from source, the package that the tests have. */
export function toPythonPlaces(dataDir: string, configured: string | undefined): PythonPlaces {
  const place = build.compiled
    ? { besideDir: dirname(process.execPath) }
    : { sourceDir: join(import.meta.dir, "..", "..", "..", "node_modules", "pyodide") };
  return { dataDir, ...place, ...(configured === undefined ? {} : { configured }) };
}
