/** The operator's skills: a folder each, with a `SKILL.md`. Read again when the folder changes. */
import { createHash } from "node:crypto";
import { type Dirent, existsSync } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import type { Clock } from "../../std/clock.ts";
import {
  isSafePath,
  readSkillFile,
  type SkillFacts,
  skillFileName,
  skillName,
} from "./skill-file.ts";

export interface FolderSkill extends SkillFacts {
  /** Relative, sorted, `SKILL.md` among them. */
  readonly files: readonly string[];
  readonly modifiedMs: number;
}

export interface SkillFolder {
  list(): Promise<readonly FolderSkill[]>;
  /** Undefined where there is none, or where the path leads out of the skill. */
  read(skill: string, path: string): Promise<Uint8Array | undefined>;
}

export interface SkillFolderOptions {
  /** Undefined: there is none. */
  readonly path: string | undefined;
  readonly clock: Clock;
  /** Told of skills that cannot be used, once each. */
  readonly onProblem: (message: string) => void;
}

const indexMs = 5_000;
const limits = { skills: 1_000, files: 200, depth: 6, fileBytes: 8 * 1024 * 1024 } as const;

export function createSkillFolder({ path, clock, onProblem }: SkillFolderOptions): SkillFolder {
  const told = new Set<string>();
  let index: readonly FolderSkill[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;

  async function load(root: string): Promise<readonly FolderSkill[]> {
    const entries = await readdir(root, { withFileTypes: true });
    const names = entries.filter((each) => each.isDirectory() && skillName.test(each.name));
    const skills: FolderSkill[] = [];
    for (const { name } of names.slice(0, limits.skills)) {
      try {
        const skill = await readSkill(root, name);
        if (skill) skills.push(skill);
      } catch (thrown) {
        if (!(thrown instanceof GatewayError)) throw thrown;
        const message = `the skill ${name} is left out: ${thrown.message}`;
        if (!told.has(message)) onProblem(message);
        told.add(message);
      }
    }
    return skills.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  return {
    async list() {
      if (path === undefined || !existsSync(path)) return [];
      if (clock.now() - readAtMs >= indexMs) {
        index = await load(path);
        readAtMs = clock.now();
      }
      return index;
    },
    async read(skill, file) {
      if (path === undefined || !skillName.test(skill) || !isSafePath(file)) return undefined;
      const root = join(path, skill);
      const full = join(root, ...file.split("/"));
      try {
        // A link inside of it must not lead out of it.
        const [real, base] = [await realpath(full), await realpath(root)];
        if (!real.startsWith(`${base}${sep}`)) return undefined;
        const found = await stat(real);
        if (!found.isFile() || found.size > limits.fileBytes) return undefined;
        return new Uint8Array(await readFile(real));
      } catch {
        return undefined; // not there, or not to be read: the same to whoever asks
      }
    },
  };
}

async function readSkill(root: string, name: string): Promise<FolderSkill | undefined> {
  const folder = join(root, name);
  const main = join(folder, skillFileName);
  if (!existsSync(main)) return undefined;
  const facts = readSkillFile(await readFile(main, "utf8"), name);
  const files = await walk(folder, "", 0);
  const { mtimeMs } = await stat(main);
  return { ...facts, name, files: files.sort(), modifiedMs: mtimeMs };
}

async function walk(folder: string, prefix: string, depth: number): Promise<string[]> {
  if (depth > limits.depth) return [];
  const entries: Dirent[] = await readdir(join(folder, prefix), { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries) {
    const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (!isSafePath(path)) continue;
    if (entry.isDirectory()) files.push(...(await walk(folder, path, depth + 1)));
    else if (entry.isFile()) files.push(path);
    if (files.length >= limits.files) break;
  }
  return files.slice(0, limits.files);
}

/** Names a version of a folder's skill by what it holds. */
export const versionOf = (bytes: Uint8Array) =>
  createHash("sha256").update(bytes).digest("hex").slice(0, 16);
