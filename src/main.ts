/** Entry of the binary: argv in, exit code out. */
import { pythonHostWord } from "./agents/skills/python/host-word.ts";
import { commands, defaultCommand } from "./cli/registry.ts";
import { runCommandLine } from "./cli/run.ts";
import { hostWord } from "./routing/custom/host-word.ts";

const interruption = new AbortController();

/** The first signal asks the command to end well; a second one does not wait for it. */
function onSignal(signal: NodeJS.Signals): void {
  if (interruption.signal.aborted) process.exit(130);
  interruption.abort(new Error(`received ${signal}`));
}
process.on("SIGINT", onSignal);
process.on("SIGTERM", onSignal);

// A reader that went away (`routeiq … | head`) ends the program, without a word.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

if (process.argv[2] === hostWord) await (await import("./routing/custom/host.ts")).hostModule();
if (process.argv[2] === pythonHostWord) {
  await (await import("./agents/skills/python/host.ts")).hostPython(process.argv.slice(3));
}

const exitCode = await runCommandLine({
  words: process.argv.slice(2),
  commands,
  defaultCommand,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: interruption.signal,
});

// What is still in the pipes goes out first; then nothing that a command forgot keeps us alive.
await Promise.all(
  [process.stdout, process.stderr].map(
    (sink) => new Promise<void>((resolve) => sink.write("", () => resolve())),
  ),
);
process.exit(exitCode);
