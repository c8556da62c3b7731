/** The skills of a gateway, put together: the operator's folder, the registered ones, their runner. */
import { existsSync } from "node:fs";
import type { Services } from "../../pipeline/services.ts";
import type { WorkerLike } from "../../std/background.ts";
import type { RecordStore } from "../../storage/record-store.ts";
import { recordTool } from "../tool-receipt.ts";
import { createSkillRunner } from "./runner.ts";
import { createSkillFolder, type SkillFolder } from "./skill-folder.ts";
import { createSkills, type Skills } from "./skills.ts";

export interface SkillParts {
  readonly skills: Skills;
  readonly folder: SkillFolder;
  close(): void;
}

export interface SkillPartsOptions {
  readonly records: RecordStore;
  readonly services: () => Services;
  readonly spawn: () => WorkerLike;
}

/** Where the predecessor looks. */
const usualFolders = ["skills", "docs/skills"];
const maxWaiting = 100;

export function createSkillParts({ records, services, spawn }: SkillPartsOptions): SkillParts {
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
  });
  return {
    folder,
    skills: createSkills({
      records,
      folder,
      runner,
      clock,
      settings,
      onRun: ({ skill, startedMs, ...end }) =>
        recordTool(
          {
            ...end,
            callId: Bun.randomUUIDv7(),
            operation: "skill_run",
            name: skill,
            provider: "skills",
            startedAtMs: startedMs,
          },
          services(),
        ),
    }),
    close: runner.close,
  };
}
