/** A step of the loop: a command as a process of its own, by its JSON. */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { CommandContext } from "../command.ts";
import { runSelf } from "../run-self.ts";

export interface StepResult {
  readonly exitCode: number;
  /** Its `--json`. */
  readonly answer: JsonObject;
  readonly said: string;
}

/** Of a step's words kept for the journal. */
const saidChars = 2_000;

/** @throws the signal's reason; GatewayError internal where it neither answered nor said why */
export async function runStep(
  args: readonly string[],
  { env, signal }: Pick<CommandContext, "env" | "signal">,
): Promise<StepResult> {
  const { stdout, stderr, exitCode } = await runSelf([...args, "--json"], { env, signal });
  const said = stderr.trim().slice(-saidChars);
  const answer = lastJson(stdout);
  if (answer) return { exitCode, answer, said };
  const what = args.slice(0, 2).join(" ");
  throw new GatewayError("internal", `routeiq ${what} ended with ${exitCode}: ${said.slice(-500)}`);
}

function lastJson(stdout: string): JsonObject | undefined {
  const line = stdout.trim().split("\n").at(-1) ?? "";
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // it failed before it could answer: what it said tells why
  }
}
