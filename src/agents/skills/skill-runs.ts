/**
 * Skills that run, whoever asks: by REST, as tools of a chat or of MCP, as agents. What a caller may
 * run, how far it may go, and the receipt of every run.
 */
import type { Caller } from "../../domain/call.ts";
import type { CallOutcome } from "../../domain/decision.ts";
import { excerpt, GatewayError, toGatewayError } from "../../domain/errors.ts";
import { isListed } from "../../domain/grants.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import { findMismatch } from "../../std/json-schema.ts";
import type { SkillRunner } from "./runner.ts";
import { readSkillFile, type SkillProgram, skillFileName } from "./skill-file.ts";
import { type SkillFolder, versionOf } from "./skill-folder.ts";
import type { SkillResult, SkillRun } from "./skill-run.ts";
import {
  filesOf,
  latestVersion,
  type SkillGate,
  type SkillStore,
  type UploadedFile,
} from "./skill-store.ts";

export interface SkillSettings {
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly outputBytes: number;
  /** Hosts that registered skills may ask for; the operator's own may ask for any. */
  readonly hosts: readonly string[];
}

/** A skill that runs, as a model or another program is told of it. */
export interface SkillTool {
  /** Unique among a caller's: letters, digits, "-" and "_". */
  readonly name: string;
  readonly description: string;
  /** JSON Schema of an object. */
  readonly inputSchema: JsonObject;
  /** Whose: the operator's folder, or the caller's own. */
  readonly source: "operator" | "caller";
}

export interface SkillRunRequest {
  /** A tool's name, or the id of a registered skill. */
  readonly skill: string;
  /** Default: the newest. */
  readonly version?: string;
  readonly input: Json;
  readonly caller: Caller;
  readonly requestId?: string;
  /** Ends it at once. */
  readonly signal?: AbortSignal;
  /** The operator has opened it to whoever may ask: whose it is does not matter. */
  readonly published?: boolean;
}

export interface SkillRunReport {
  /** Of its receipt. */
  readonly callId: string;
  readonly skill: string;
  readonly version: string;
  readonly output: Json;
  /** What it said on its console, at most 100 lines. */
  readonly logs: readonly string[];
  readonly durationMs: number;
}

export interface SkillRuns {
  /** The operator's, then the caller's own, each in the order of names; at most `toolLimit` of the latter. */
  tools(caller: Caller): Promise<readonly SkillTool[]>;
  /** As `tools` would tell it; undefined where the caller may run no such skill. */
  tool(skill: string, caller: Caller): Promise<SkillTool | undefined>;
  /** As `tool`, of one that the operator publishes, by its name in the folder or its id. */
  published(skill: string): Promise<SkillTool | undefined>;
  /**
   * Within the limits of the operator and of the skill, whichever is narrower. Leaves a receipt
   * (`skill_run`) however it ends.
   * @throws GatewayError permission_denied; invalid_request where the input does not fit; not_found; skill_failed;
   * skill_runtime_missing; overloaded. The signal's reason where it was ended by it.
   */
  run(request: SkillRunRequest): Promise<SkillRunReport>;
}

export interface SkillRunsParts {
  readonly store: SkillStore;
  readonly gate: SkillGate;
  readonly folder: SkillFolder;
  readonly runner: SkillRunner;
  readonly clock: Clock;
  readonly settings: () => SkillSettings;
  /** Told of every run's end. */
  readonly onRun: (run: RunEnd) => void;
}

export interface RunEnd {
  readonly callId: string;
  readonly requestId?: string;
  /** Its id, or its name in the operator's folder. */
  readonly skill: string;
  readonly caller: Caller;
  readonly startedMs: number;
  readonly outcome: CallOutcome;
  readonly error?: string;
}

/** In whose name published skills are looked up; runs are their caller's. */
const publisher: Caller = { id: "master", tenant: "default", admin: true };

/** Of a caller's own that lists of tools tell. */
export const toolLimit = 200;

interface Runnable {
  readonly id: string;
  readonly version: string;
  readonly program: SkillProgram;
  readonly bytes: Uint8Array;
  /** What stands beside the program; read by runtimes that import. */
  readonly files: () => Promise<readonly UploadedFile[]>;
  readonly trusted: boolean;
}

export function createSkillRuns(parts: SkillRunsParts): SkillRuns {
  const { store, gate, folder, runner, clock, settings, onRun } = parts;

  async function operators(): Promise<readonly SkillTool[]> {
    return (await folder.list()).flatMap(({ name, description, program }) =>
      program
        ? [{ name, description, inputSchema: program.inputSchema, source: "operator" as const }]
        : [],
    );
  }

  /** Whose skill it is does not matter where the caller's key names it by its id. */
  async function find(skill: string, asking: Caller) {
    const caller = gate.listed(asking)?.includes(skill) ? publisher : asking;
    return (await store.findNamed(skill, asking)) ?? (await store.find(skill, caller));
  }

  function assertOpen(skill: string, caller: Caller): void {
    if (!isListed(gate.listed(caller), skill)) throw gate.deny(skill, caller);
  }

  async function toolOf(skill: string, caller: Caller): Promise<SkillTool | undefined> {
    const named = (await operators()).find(({ name }) => name === skill);
    if (named) {
      assertOpen(skill, caller);
      return named;
    }
    try {
      const { value } = await find(skill, caller);
      const { description, input_schema: inputSchema } = value;
      if (!isObject(inputSchema)) return undefined;
      return { name: skill, description: String(description), inputSchema, source: "caller" };
    } catch (thrown) {
      if (toGatewayError(thrown).code === "not_found") return undefined;
      throw thrown;
    }
  }

  /** The operator's skill goes by its name, a registered one by its name or its id. */
  async function runnable(skill: string, version: string, caller: Caller): Promise<Runnable> {
    const own = (await folder.list()).find(({ name }) => name === skill);
    if (own) {
      assertOpen(skill, caller);
      const bytes = own.program && (await folder.read(skill, own.program.entry));
      if (!own.program || !bytes) throw noProgram(skill);
      const files = () => readAll(folder, skill, own.files);
      return {
        ...{ id: skill, version: versionOf(bytes), program: own.program, bytes, files },
        trusted: true,
      };
    }
    const record = await find(skill, caller);
    const found = await store.findVersion(record, version);
    const files = filesOf(found);
    const main = files.find(({ path }) => path === skillFileName);
    const text = new TextDecoder().decode(main?.bytes ?? new Uint8Array());
    const { program } = readSkillFile(text, String(found.value["name"]));
    const entry = program && files.find(({ path }) => path === program.entry);
    if (!program || !entry) throw noProgram(skill);
    return {
      ...{ id: record.id, version: found.id, program, bytes: entry.bytes },
      files: () => Promise.resolve(files),
      trusted: false,
    };
  }

  async function toRun(found: Runnable, input: Json): Promise<SkillRun> {
    const { program, trusted, bytes } = found;
    const { timeoutMs, memoryMb, outputBytes, hosts } = settings();
    const isPython = program.runtime === "python";
    return {
      ...{ runtime: program.runtime, program: bytes, entry: program.entry, trusted, outputBytes },
      files: isPython ? await found.files() : [],
      input: JSON.stringify(input),
      timeoutMs: Math.min(timeoutMs, program.timeoutMs ?? timeoutMs),
      memoryBytes: Math.min(memoryMb, program.memoryMb ?? memoryMb) * 1024 * 1024,
      hosts: trusted ? program.network : program.network.filter((host) => hosts.includes(host)),
    };
  }

  return {
    async tools(caller) {
      const all = await operators();
      const theirs = all.filter(({ name }) => isListed(gate.listed(caller), name));
      const taken = new Set(all.map(({ name }) => name));
      const own: SkillTool[] = [];
      for (const { id, value } of await store.own(caller, toolLimit)) {
        const { name, description, input_schema: inputSchema } = value;
        if (!isObject(inputSchema)) continue;
        const free = typeof name === "string" && !taken.has(name);
        taken.add(String(name));
        own.push({
          name: free ? name : id,
          description: String(description),
          inputSchema,
          source: "caller",
        });
      }
      return [...theirs, ...own.sort((a, b) => (a.name < b.name ? -1 : 1))];
    },
    tool: toolOf,
    published: (skill) => toolOf(skill, publisher),
    async run({
      skill,
      version = latestVersion,
      input,
      caller,
      requestId,
      signal,
      published = false,
    }) {
      const found = await runnable(skill, version, published ? publisher : caller);
      const mismatch = findMismatch(input, found.program.inputSchema);
      if (mismatch !== undefined) {
        const message = `'input' does not fit the skill's schema: ${mismatch}.`;
        throw new GatewayError("invalid_request", message, { param: "input" });
      }
      const callId = Bun.randomUUIDv7();
      const startedMs = clock.now();
      const end = (outcome: CallOutcome, error?: string) =>
        onRun({
          ...{ callId, skill: found.id, caller, startedMs, outcome },
          ...(requestId === undefined ? {} : { requestId }),
          ...(error === undefined ? {} : { error }),
        });
      let result: SkillResult;
      try {
        result = await runner.run(await toRun(found, input), signal);
      } catch (thrown) {
        if (signal?.aborted) {
          end("cancelled", "cancelled");
          throw signal.reason;
        }
        end("failure", toGatewayError(thrown).code);
        throw thrown;
      }
      end("success");
      return {
        ...{ callId, skill: found.id, version: found.version, logs: result.logs },
        output: JSON.parse(result.output) as Json,
        durationMs: clock.now() - startedMs,
      };
    },
  };
}

async function readAll(folder: SkillFolder, skill: string, paths: readonly string[]) {
  const files: UploadedFile[] = [];
  for (const path of paths) {
    const bytes = await folder.read(skill, path);
    if (bytes) files.push({ path, bytes });
  }
  return files;
}

const noProgram = (skill: string) =>
  new GatewayError(
    "invalid_request",
    `The skill '${excerpt(skill)}' has no program to run: its ${skillFileName} names no runtime.`,
  );
