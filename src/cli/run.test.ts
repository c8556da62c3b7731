/** A command line's exit codes and what is printed beside them. */
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../domain/errors.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { commands as realCommands } from "./registry.ts";
import { runCommandLine } from "./run.ts";

const stop = new Error("received SIGTERM");
const fake = (name: string, run: (context: CommandContext) => Promise<number>) => async () =>
  defineCommand({ name, summary: `does ${name}`, example: `routeiq ${name}`, run });

const commands = {
  serve: fake("serve", async ({ out }) => {
    out.line("serving");
    return 0;
  }),
  "models list": fake("models list", () => Promise.resolve(0)),
  refuse: fake("refuse", () =>
    Promise.reject(new GatewayError("config_invalid", "no such file: x.yaml", { cause: stop })),
  ),
  crash: fake("crash", () => Promise.reject(new TypeError("x is not a function"))),
  interrupt: fake("interrupt", ({ signal }) => Promise.reject(signal.reason)),
};

async function check(
  line: string,
  options: { env?: CommandContext["env"]; stopped?: boolean } = {},
) {
  const written = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const code = await runCommandLine({
    words: line.split(" ").filter(Boolean),
    commands,
    defaultCommand: "serve",
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    env: options.env ?? {},
    signal: options.stopped ? AbortSignal.abort(stop) : new AbortController().signal,
  });
  return { code, ...written };
}

describe("exit codes", () => {
  test("no command is serve", async () => {
    expect(await check("")).toEqual({ code: 0, stdout: "serving\n", stderr: "" });
  });
  test("wrong usage is 2, on stderr", async () => {
    const { code, stdout, stderr } = await check("serv");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe(
      'routeiq: unknown command "serv". Did you mean "serve"?\nTry "routeiq --help".\n',
    );
  });
  test("a failure is 1 and one line", async () => {
    expect(await check("refuse")).toEqual({
      code: 1,
      stdout: "",
      stderr: "routeiq: no such file: x.yaml\n",
    });
    expect((await check("crash")).stderr).toBe(
      "routeiq: unexpected failure: TypeError: x is not a function (ROUTEIQ_DEBUG=1 shows where)\n",
    );
  });
  test("ROUTEIQ_DEBUG shows the stack and the cause", async () => {
    const { stderr } = await check("refuse", { env: { ROUTEIQ_DEBUG: "1" } });
    expect(stderr).toContain("received SIGTERM");
    expect(stderr).toContain("run.test.ts");
  });
  test("an interruption is 130", async () => {
    expect((await check("interrupt", { stopped: true })).code).toBe(130);
  });
});

describe("help", () => {
  test.each(["--help", "-h", "help"])("%s lists the commands", async (line) => {
    const { code, stdout } = await check(line);
    expect(code).toBe(0);
    expect(stdout).toContain("models list  does models list");
  });
  test("of a family lists that family", async () => {
    const { stdout } = await check("models --help");
    expect(stdout).toContain("models list");
    expect(stdout).not.toContain("does serve");
  });
  test.each(["serve --help", "help serve", "serve -h"])("%s tells of one", async (line) => {
    const { stdout } = await check(line);
    expect(stdout).toContain("Usage: routeiq serve [flags]");
  });
});

describe("every command of the binary", () => {
  test.each(Object.entries(realCommands))("%s declares itself", async (name, load) => {
    const command = await load();
    expect(command.name).toBe(name);
    expect(command.summary).toMatch(/\.$/);
    expect(command.example).toContain(`routeiq ${name}`);
    for (const [flag, { description }] of Object.entries(command.flags ?? {})) {
      expect(description, `--${flag}`).toMatch(/\S/);
      expect(flag).toMatch(/^[a-z][a-z0-9-]*$/);
      expect(["help"]).not.toContain(flag);
    }
  });
});
