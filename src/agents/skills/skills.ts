/**
 * Skills: the operator's, out of a folder, and those that callers register, versioned, in the shape
 * of Anthropic's API. Those that have a program run; the others are read.
 * Source: https://platform.claude.com/docs/en/api/beta/skills
 */
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isListed } from "../../domain/grants.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import { isSafePath, readSkillFile, type SkillFacts, skillFileName } from "./skill-file.ts";
import type { SkillRuns } from "./skill-runs.ts";
import {
  latestVersion,
  type SkillGate,
  type SkillStore,
  skillKind,
  toSummary,
  type UploadedFile,
  versionKind,
} from "./skill-store.ts";

/** @throws GatewayError invalid_request, not_found, storage_failed, skill_failed from every method */
export interface Skills {
  create(
    files: readonly UploadedFile[],
    name: string | undefined,
    caller: Caller,
  ): Promise<JsonObject>;
  get(id: string, caller: Caller): Promise<JsonObject>;
  list(query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  remove(id: string, caller: Caller): Promise<JsonObject>;
  addVersion(id: string, files: readonly UploadedFile[], caller: Caller): Promise<JsonObject>;
  versions(id: string, query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  version(id: string, version: string, caller: Caller): Promise<JsonObject>;
  removeVersion(id: string, version: string, caller: Caller): Promise<JsonObject>;
  /** Leaves a receipt, as every call does. */
  run(id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
}

export interface SkillsOptions {
  readonly records: RecordStore;
  readonly gate: SkillGate;
  readonly store: SkillStore;
  readonly runs: SkillRuns;
}

export const skillLimits = {
  bundleBytes: 8 * 1024 * 1024,
  files: 200,
  nameChars: 255,
  page: { preset: 20, most: 100 },
} as const;

export function createSkills({ records, store, runs, gate }: SkillsOptions): Skills {
  const { find, findVersion } = store;

  async function addVersion(skill: string, owner: string, files: readonly UploadedFile[]) {
    const { facts, kept } = readBundle(files);
    const version = await records.put({
      kind: versionKind,
      id: `skillver_${crypto.randomUUID().replaceAll("-", "")}`,
      owner,
      parent: skill,
      value: { name: facts.name, description: facts.description, files: kept },
    });
    return { version, facts };
  }

  return {
    async create(files, name, caller) {
      // A new id is in no list, and a listed name stands for the skill that the operator knows.
      if (!isListed(gate.listed(caller), "(new)")) throw gate.deny("(new)", caller);
      const id = `skill_${crypto.randomUUID().replaceAll("-", "")}`;
      const { version, facts } = await addVersion(id, caller.id, files);
      const display = name ?? facts.name;
      const record = await records.put({
        kind: skillKind,
        id,
        owner: caller.id,
        tag: facts.name,
        value: {
          ...toSummary(facts),
          display_name: display.slice(0, skillLimits.nameChars),
          latest: version.id,
        },
      });
      return toSkill(record);
    },
    get: async (id, caller) => toSkill(await find(id, caller)),
    async list(query, caller) {
      const owner = caller.admin ? {} : { owner: caller.id };
      const page = await records.list({ kind: skillKind, ...owner, ...readPage(query) });
      const isOpen = ({ id, tag }: StoredRecord) => isListed(gate.listed(caller), id, tag);
      // Of a key that opens some alone a page may have fewer; where the next begins stays the same.
      return { ...toPage(page, toSkill), data: page.records.filter(isOpen).map(toSkill) };
    },
    async remove(id, caller) {
      await find(id, caller);
      await records.removeAll(versionKind, id);
      await records.remove(skillKind, id);
      return { id, type: "skill_deleted" };
    },
    async addVersion(id, files, caller) {
      const skill = await find(id, caller);
      const { version, facts } = await addVersion(id, skill.owner, files);
      await records.update(skillKind, id, ({ value: { display_name = "" } }) => ({
        tag: facts.name,
        value: { ...toSummary(facts), display_name, latest: version.id },
      }));
      return toVersion(version);
    },
    async versions(id, query, caller) {
      await find(id, caller);
      const page = readPage(query);
      return toPage(await records.list({ kind: versionKind, parent: id, ...page }), toVersion);
    },
    async version(id, version, caller) {
      return toVersion(await findVersion(await find(id, caller), version));
    },
    async removeVersion(id, version, caller) {
      const skill = await find(id, caller);
      const record = await findVersion(skill, version);
      if (record.id === skill.value["latest"]) {
        const message = "The latest version of a skill is deleted with the skill alone.";
        throw new GatewayError("invalid_request", message);
      }
      await records.remove(versionKind, record.id);
      return { id: record.id, type: "skill_version_deleted" };
    },
    async run(id, body, caller) {
      const { input = {}, version = latestVersion } = body;
      const report = await runs.run({ skill: id, version: String(version), input, caller });
      return {
        type: "skill_run",
        skill_id: report.skill,
        version_id: report.version,
        output: report.output,
        logs: report.logs as Json,
        duration_ms: report.durationMs,
      };
    },
  };
}

/** Files of one folder, its `SKILL.md` among them; the folder's own name is left out of their paths. */
function readBundle(files: readonly UploadedFile[]): { facts: SkillFacts; kept: Json } {
  const invalid = (why: string) =>
    new GatewayError("invalid_request", `The skill's files ${why}.`, { param: "files" });
  if (files.length === 0) throw invalid("are missing");
  if (files.length > skillLimits.files) throw invalid(`are more than ${skillLimits.files}`);
  const bytes = files.reduce((sum, each) => sum + each.bytes.length, 0);
  if (bytes > skillLimits.bundleBytes) {
    throw invalid(`are over the limit of ${skillLimits.bundleBytes} bytes`);
  }
  const tops = new Set(files.map(({ path }) => path.split("/")[0]));
  const nested = tops.size === 1 && files.every(({ path }) => path.includes("/"));
  const plain = files.map(({ path, bytes: content }) => ({
    path: nested ? path.slice(path.indexOf("/") + 1) : path,
    bytes: content,
  }));
  const odd = plain.find(({ path }) => !isSafePath(path));
  if (odd) throw invalid(`have a path that is refused: ${JSON.stringify(odd.path.slice(0, 80))}`);
  if (new Set(plain.map(({ path }) => path)).size < plain.length)
    throw invalid("name one path twice");
  const main = plain.find(({ path }) => path === skillFileName);
  if (!main) throw invalid(`need a ${skillFileName} at their root`);
  const [top] = tops;
  const facts = readSkillFile(decode(main.bytes), nested && top ? top : "skill");
  const entry = facts.program?.entry;
  if (entry !== undefined && !plain.some(({ path }) => path === entry)) {
    throw invalid(`lack ${entry}, which ${skillFileName} says is run`);
  }
  const kept = plain.map(({ path, bytes: content }) => ({
    path,
    content: Buffer.from(content).toString("base64"),
  }));
  return { facts, kept };
}

function decode(bytes: Uint8Array | undefined): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes ?? new Uint8Array());
  } catch (cause) {
    throw new GatewayError("invalid_request", `${skillFileName} is not UTF-8.`, { cause });
  }
}

const iso = (ms: number) => new Date(ms).toISOString();

function toSkill({ id, createdMs, updatedMs, value }: StoredRecord): JsonObject {
  const { display_name = "", latest = "" } = value;
  return {
    id,
    type: "skill",
    display_name,
    display_title: display_name,
    latest_version_id: latest,
    latest_version: latest,
    source: { type: "custom" },
    created_at: iso(createdMs),
    updated_at: iso(updatedMs),
  };
}

function toVersion({ id, createdMs, parent, value }: StoredRecord): JsonObject {
  const { name = "", description = "" } = value;
  return {
    id,
    type: "skill_version",
    skill_id: parent,
    version: id,
    name,
    description,
    created_at: iso(createdMs),
  };
}

/** Anthropic's pages: the next one is named by where this one ends. */
function readPage(query: URLSearchParams) {
  const { preset, most } = skillLimits.page;
  const text = query.get("limit");
  const limit = text === null ? preset : Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > most) {
    const message = `'limit' must be a whole number from 1 to ${most}.`;
    throw new GatewayError("invalid_request", message, { param: "limit" });
  }
  const after = query.get("page");
  return { limit, ...(after ? { after } : {}) };
}

function toPage(
  { records, hasMore }: { readonly records: readonly StoredRecord[]; readonly hasMore: boolean },
  toObject: (record: StoredRecord) => JsonObject,
): JsonObject {
  return {
    data: records.map(toObject),
    has_more: hasMore,
    next_page: hasMore ? (records.at(-1)?.id ?? null) : null,
  };
}
