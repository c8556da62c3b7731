/** Skills that callers registered, in the record store: a record each, and one for every version. */
import type { Caller } from "../../domain/call.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isListed } from "../../domain/grants.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { SkillFacts } from "./skill-file.ts";

export interface UploadedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export const skillKind = "skill";
export const versionKind = "skill-version";
export const latestVersion = "latest";

/** Which skills a caller's key opens. */
export interface SkillGate {
  /** Names and ids; undefined: all. */
  listed(caller: Caller): readonly string[] | undefined;
  /** The refusal; it is written down with this. */
  deny(skill: string, caller: Caller): GatewayError;
}

/** @throws GatewayError permission_denied from what names a skill that the caller's key closes */
export interface SkillStore {
  /** @throws GatewayError not_found, also for other callers' */
  find(id: string, caller: Caller): Promise<StoredRecord>;
  /** By the name that its `SKILL.md` gives; the newest of several. */
  findNamed(name: string, caller: Caller): Promise<StoredRecord | undefined>;
  /** Newest first. */
  own(caller: Caller, limit: number): Promise<readonly StoredRecord[]>;
  /** @throws GatewayError not_found */
  findVersion(skill: StoredRecord, version: string): Promise<StoredRecord>;
}

export function createSkillStore(records: RecordStore, gate: SkillGate): SkillStore {
  const isOpen = ({ id, tag }: StoredRecord, caller: Caller) =>
    isListed(gate.listed(caller), id, tag);
  return {
    async find(id, caller) {
      const record = await records.get(skillKind, id);
      const theirs = record && (caller.admin || record.owner === caller.id) ? record : undefined;
      if (theirs ? !isOpen(theirs, caller) : !isListed(gate.listed(caller), id)) {
        throw gate.deny(id, caller);
      }
      if (theirs) return theirs;
      throw noSkill(id);
    },
    async findNamed(name, caller) {
      const query = { kind: skillKind, owner: caller.id, tag: name, limit: 1 };
      const [record] = (await records.list(query)).records;
      return record && isOpen(record, caller) ? record : undefined;
    },
    async own(caller, limit) {
      const { records: own } = await records.list({ kind: skillKind, owner: caller.id, limit });
      return own.filter((record) => isOpen(record, caller));
    },
    async findVersion(skill, version) {
      const id = version === latestVersion ? String(skill.value["latest"]) : version;
      const record = await records.get(versionKind, id);
      if (record?.parent === skill.id) return record;
      throw new GatewayError("not_found", `No version '${excerpt(version)}' of this skill.`);
    },
  };
}

/** What lists tell of a skill without its files: of the newest version. */
export function toSummary({ name, description, program }: SkillFacts): JsonObject {
  return { name, description, ...(program ? { input_schema: program.inputSchema } : {}) };
}

export function filesOf({ value }: StoredRecord): readonly UploadedFile[] {
  const files = Array.isArray(value["files"]) ? value["files"].filter(isObject) : [];
  return files.map(({ path, content }) => ({
    path: String(path),
    bytes: new Uint8Array(Buffer.from(String(content), "base64")),
  }));
}

export const noSkill = (id: string) =>
  new GatewayError("not_found", `No skill found with id '${excerpt(id)}'.`);
