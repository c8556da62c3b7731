/**
 * Skills: the operator's, out of a folder, and those that callers register, versioned, in the shape
 * of Anthropic's API. Those that have a program run; the others are read.
 * Source: https://platform.claude.com/docs/en/api/beta/skills
 */
import type { Caller } from "../../domain/call.ts";
import type { CallOutcome } from "../../domain/decision.ts";
import { excerpt, GatewayError, toGatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import { findMismatch } from "../../std/json-schema.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { SkillResult, SkillRun } from "./run-thread.ts";
import type { SkillRunner } from "./runner.ts";
import {
  isSafePath,
  readSkillFile,
  type SkillFacts,
  type SkillProgram,
  skillFileName,
} from "./skill-file.ts";
import { type SkillFolder, versionOf } from "./skill-folder.ts";

export interface SkillSettings {
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly outputBytes: number;
  /** Hosts that registered skills may ask for; the operator's own may ask for any. */
  readonly hosts: readonly string[];
}

export interface UploadedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

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
  readonly folder: SkillFolder;
  readonly runner: SkillRunner;
  readonly clock: Clock;
  readonly settings: () => SkillSettings;
  /** Told of every run's end. */
  readonly onRun: (run: RunEnd) => void;
}

export interface RunFacts {
  /** Its id, or its name in the operator's folder. */
  readonly skill: string;
  readonly caller: Caller;
  readonly startedMs: number;
}

export interface RunEnd extends RunFacts {
  readonly outcome: CallOutcome;
  readonly error?: string;
}

const skillKind = "skill";
const versionKind = "skill-version";
export const skillLimits = {
  bundleBytes: 8 * 1024 * 1024,
  files: 200,
  nameChars: 255,
  page: { preset: 20, most: 100 },
} as const;

interface Runnable {
  readonly id: string;
  readonly version: string;
  readonly program: SkillProgram;
  readonly bytes: Uint8Array;
  readonly trusted: boolean;
}

export function createSkills(options: SkillsOptions): Skills {
  const { records, folder, runner, clock, settings } = options;

  async function find(id: string, caller: Caller): Promise<StoredRecord> {
    const record = await records.get(skillKind, id);
    if (record && (caller.admin || record.owner === caller.id)) return record;
    throw noSkill(id);
  }

  async function findVersion(skill: StoredRecord, version: string): Promise<StoredRecord> {
    const id = version === "latest" ? String(skill.value["latest"]) : version;
    const record = await records.get(versionKind, id);
    if (record?.parent === skill.id) return record;
    throw new GatewayError("not_found", `No version '${excerpt(version)}' of this skill.`);
  }

  async function addVersion(skill: string, owner: string, files: readonly UploadedFile[]) {
    const { facts, kept } = readBundle(files);
    return records.put({
      kind: versionKind,
      id: `skillver_${crypto.randomUUID().replaceAll("-", "")}`,
      owner,
      parent: skill,
      value: { name: facts.name, description: facts.description, files: kept },
    });
  }

  /** A folder's skill goes by its name, a registered one by its id. */
  async function runnable(id: string, version: string, caller: Caller): Promise<Runnable> {
    const own = (await folder.list()).find(({ name }) => name === id);
    if (own) {
      const bytes = own.program && (await folder.read(id, own.program.entry));
      if (!own.program || !bytes) throw noProgram(id);
      return { id, version: versionOf(bytes), program: own.program, bytes, trusted: true };
    }
    const record = await findVersion(await find(id, caller), version);
    const files = filesOf(record);
    const main = files.find(({ path }) => path === skillFileName);
    const { program } = readSkillFile(decode(main?.bytes), String(record.value["name"]));
    const entry = program && files.find(({ path }) => path === program.entry);
    if (!program || !entry) throw noProgram(id);
    return { id, version: record.id, program, bytes: entry.bytes, trusted: false };
  }

  /** Runs it, and leaves a receipt of how it went. */
  async function record(of: RunFacts, run: SkillRun): Promise<SkillResult> {
    const end = (outcome: CallOutcome, error?: string) =>
      options.onRun({ ...of, outcome, ...(error === undefined ? {} : { error }) });
    try {
      const result = await runner.run(run);
      end("success");
      return result;
    } catch (thrown) {
      end("failure", toGatewayError(thrown).code);
      throw thrown;
    }
  }

  return {
    async create(files, name, caller) {
      const id = `skill_${crypto.randomUUID().replaceAll("-", "")}`;
      const version = await addVersion(id, caller.id, files);
      const display = name ?? String(version.value["name"]);
      const record = await records.put({
        kind: skillKind,
        id,
        owner: caller.id,
        value: { display_name: display.slice(0, skillLimits.nameChars), latest: version.id },
      });
      return toSkill(record);
    },
    get: async (id, caller) => toSkill(await find(id, caller)),
    async list(query, caller) {
      const owner = caller.admin ? {} : { owner: caller.id };
      return toPage(await records.list({ kind: skillKind, ...owner, ...readPage(query) }), toSkill);
    },
    async remove(id, caller) {
      await find(id, caller);
      await records.removeAll(versionKind, id);
      await records.remove(skillKind, id);
      return { id, type: "skill_deleted" };
    },
    async addVersion(id, files, caller) {
      const skill = await find(id, caller);
      const version = await addVersion(id, skill.owner, files);
      await records.update(skillKind, id, ({ value }) => ({
        value: { ...value, latest: version.id },
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
      const { input = {}, version = "latest" } = body;
      const { program, bytes, trusted, version: of } = await runnable(id, String(version), caller);
      const mismatch = findMismatch(input, program.inputSchema);
      if (mismatch !== undefined) {
        const message = `'input' does not fit the skill's schema: ${mismatch}.`;
        throw new GatewayError("invalid_request", message, { param: "input" });
      }
      const { timeoutMs, memoryMb, outputBytes, hosts } = settings();
      const startedMs = clock.now();
      const { output, logs } = await record(
        { skill: id, caller, startedMs },
        {
          runtime: program.runtime,
          program: bytes,
          input: JSON.stringify(input),
          timeoutMs: Math.min(timeoutMs, program.timeoutMs ?? timeoutMs),
          memoryBytes: Math.min(memoryMb, program.memoryMb ?? memoryMb) * 1024 * 1024,
          outputBytes,
          hosts: trusted ? program.network : program.network.filter((host) => hosts.includes(host)),
        },
      );
      return {
        type: "skill_run",
        skill_id: id,
        version_id: of,
        output: JSON.parse(output) as Json,
        logs: logs as Json,
        duration_ms: clock.now() - startedMs,
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

function filesOf({ value }: StoredRecord): readonly UploadedFile[] {
  const files = Array.isArray(value["files"]) ? value["files"].filter(isObject) : [];
  return files.map(({ path, content }) => ({
    path: String(path),
    bytes: new Uint8Array(Buffer.from(String(content), "base64")),
  }));
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

const noSkill = (id: string) =>
  new GatewayError("not_found", `No skill found with id '${excerpt(id)}'.`);

const noProgram = (id: string) =>
  new GatewayError(
    "invalid_request",
    `The skill '${excerpt(id)}' has no program to run: its ${skillFileName} names no runtime.`,
  );
