/**
 * Skills in Python in the executable, as nobody: the runtime beside it, every wall up, and nothing
 * left of a run that was called off or whose gateway was killed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { archiveName } from "../../src/agents/skills/python/manifest.ts";
import { createFolder, type RunningGateway, startGateway } from "../support/binary.ts";
import { hasPython, packPython, primePython } from "../support/python-runtime.ts";

const isLinux = process.platform === "linux";
const when = hasPython && isLinux ? describe : describe.skip;
if (!(hasPython && isLinux)) console.warn("skipped: no pyodide here, or no /proc");

// biome-ignore lint/suspicious/noExplicitAny: answers of the wire, whose shapes are what is tested
type Body = Record<string, any>;

/** Interpreters whose data folder is this one. */
function interpreters(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "latin1");
        return line.includes("--python-skill-host") && line.includes(folder);
      } catch {
        return false; // it has just ended
      }
    })
    .map(Number);
}

/** Of 10 ms: more than an interpreter takes to start. */
const burntTicks = 120;

/** Of CPU that it has used. */
function cpuTicks(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  } catch {
    return 0;
  }
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (;;) {
    if (await what()) return;
    await Bun.sleep(50);
  }
}

when("skills in Python, in the executable", () => {
  const folder = createFolder();
  let gateway: RunningGateway;

  beforeAll(async () => {
    const put = (name: string, code: string) => {
      mkdirSync(join(folder.path, "skills", name), { recursive: true });
      const front = `---\nname: ${name}\nruntime: python\n---\nA skill.\n`;
      writeFileSync(join(folder.path, "skills", name, "SKILL.md"), front);
      writeFileSync(join(folder.path, "skills", name, "main.py"), code);
    };
    put("adder", "def main(given): return given['a'] + given['b']");
    put("busy", "def main(given):\n  while True: pass");
    const archive = await packPython(folder.path);
    await primePython(join(folder.path, ".routeiq"));
    for (const path of [".routeiq", ".routeiq/runtimes"]) chmodSync(join(folder.path, path), 0o777);
    gateway = await start(archive);
  }, 240_000);
  afterAll(async () => {
    await gateway.stop();
    folder.remove();
  });

  const start = (archive: string) =>
    startGateway({
      cwd: folder.path,
      config: {
        model_list: [{ model_name: "m", litellm_params: { model: "openai/m", api_key: "k" } }],
        agent_list: [{ agent_name: "busy", skill: "busy" }],
        routeiq_settings: {
          skills: {
            folder: join(folder.path, "skills"),
            python_runtime: archive,
            timeout_ms: 120_000,
          },
        },
      },
    });

  async function post(path: string, body: object): Promise<Body> {
    const answer = await fetch(gateway.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: answer.status, ...((await answer.json()) as object) };
  }

  const rpc = (method: string, params: object) =>
    post("/a2a/busy", { jsonrpc: "2.0", id: 1, method, params });

  /** Its id and its process, once that burns for it. */
  async function beginBusy(): Promise<{ readonly id: string; readonly pid: number }> {
    const message = { messageId: crypto.randomUUID(), role: "ROLE_USER", parts: [{ data: {} }] };
    const configuration = { returnImmediately: true };
    const { result } = await rpc("SendMessage", { message, configuration });
    const seen = new Map<number, number>();
    const before = (each: number) => {
      if (!seen.has(each)) seen.set(each, cpuTicks(each));
      return seen.get(each) ?? 0;
    };
    let pid: number | undefined;
    await until(() => {
      pid = interpreters(folder.path).find((each) => cpuTicks(each) > before(each) + burntTicks);
      return pid !== undefined;
    });
    return { id: String(result.task.id), pid: pid ?? 0 };
  }

  test("one runs, by the archive that was put there", async () => {
    const { status, output } = await post("/v1/skills/adder/run", { input: { a: 2, b: 3 } });
    expect([status, output]).toEqual([200, 5]);
  }, 120_000);

  test("one that is called off is gone at once", async () => {
    const { id, pid } = await beginBusy();
    const { result } = await rpc("CancelTask", { id });
    expect(result.status.state).toBe("TASK_STATE_CANCELED");
    await until(() => !existsSync(`/proc/${pid}`)); // buried, too
  }, 120_000);

  test("kill -9 leaves no process, and the task is not told as done", async () => {
    const { id } = await beginBusy();
    gateway.kill("SIGKILL");
    await gateway.exited;
    await until(() => interpreters(folder.path).length === 0);
    gateway = await start(join(folder.path, archiveName));
    const { result } = await rpc("GetTask", { id });
    expect(result.status.state).toMatch(/SUBMITTED|WORKING|FAILED/);
  }, 120_000);
});
