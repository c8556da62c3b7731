/**
 * A skill as an agent: a message's data is its input, its output an artifact. What its schema misses
 * is asked for, and what follows is added to what was said before.
 */
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import { findMismatch } from "../../std/json-schema.ts";
import type { SkillRuns, SkillTool } from "../skills/skill-runs.ts";
import type { Agent, Execute } from "./agent.ts";
import { A2aError } from "./errors.ts";
import { statusOf } from "./status.ts";
import { objectsOf, type SendRequest, type TaskEvent, textAt } from "./wire.ts";

const outputModes = ["application/json", "text/plain", "text", "application/*", "text/*", "*/*"];
const modes = ["application/json", "text/plain"];

export interface SkillAgent {
  readonly execute: Execute;
  /** What its card says. @throws GatewayError not_found where the skill has gone */
  card(agent: Agent): Promise<JsonObject>;
}

export function createSkillAgent(skills: SkillRuns, clock: Clock): SkillAgent {
  async function find({ serves, name }: Agent): Promise<SkillTool> {
    const skill = serves.kind === "skill" ? serves.skill : "";
    const found = await skills.published(skill);
    if (found) return found;
    throw new GatewayError("not_found", `The agent ${name} is a skill that is no longer there.`);
  }

  return {
    async *execute(work) {
      const { agent, task, caller, signal } = work;
      const found = await find(agent);
      const ids = { taskId: task.id, contextId: task.contextId };
      const status = (state: Parameters<typeof statusOf>[0], text?: string): TaskEvent => ({
        statusUpdate: { ...ids, status: statusOf(state, clock, text, ids) },
      });
      const input: JsonObject = Object.assign(
        {},
        ...task.history.map((message) => readInput(message, found)),
      );
      const mismatch = findMismatch(input, found.inputSchema);
      if (mismatch !== undefined) {
        const schema = JSON.stringify(found.inputSchema);
        const text = `The input does not fit: ${mismatch}. Send data that fits this schema: ${schema}`;
        yield status("TASK_STATE_INPUT_REQUIRED", text);
        return;
      }
      yield status("TASK_STATE_WORKING");
      try {
        const skill = agent.serves.kind === "skill" ? agent.serves.skill : "";
        const asked = { skill, input, caller, signal, requestId: task.id, published: true };
        const { output, version } = await skills.run(asked);
        const part = typeof output === "string" ? { text: output } : { data: output };
        const artifact = {
          ...{ artifactId: Bun.randomUUIDv7(), name: "output", parts: [part] },
          metadata: { version },
        };
        yield { artifactUpdate: { ...ids, artifact, append: false, lastChunk: true } };
        yield status("TASK_STATE_COMPLETED");
      } catch (thrown) {
        const { code, message } = toGatewayError(thrown);
        if (signal.aborted || code !== "skill_failed") throw thrown;
        yield status("TASK_STATE_FAILED", message);
      }
    },
    async card(agent) {
      const { description, inputSchema } = await find(agent);
      const { name } = agent;
      const said = agent.description || description;
      return {
        description: said,
        defaultInputModes: modes,
        defaultOutputModes: modes,
        skills: [{ ...{ id: name, name, tags: ["skill"] }, description: said || `Runs ${name}.` }],
        capabilities: {
          extensions: [
            {
              uri: "urn:routeiq:a2a:input-schema:1",
              description: "JSON Schema of the data that a message brings.",
              required: false,
              params: { schema: inputSchema },
            },
          ],
        },
      };
    },
  };
}

/** Before there is a task. @throws A2aError contentTypeNotSupported */
export function assertRunnable({ acceptedOutputModes: accepted, message }: SendRequest): void {
  if (accepted.length > 0 && !accepted.some((mode) => outputModes.includes(mode))) {
    const asked = accepted.join(", ").slice(0, 100);
    const text = `This agent answers in application/json or text/plain; asked for were ${asked}.`;
    throw new A2aError("contentTypeNotSupported", text);
  }
  const odd = objectsOf(message["parts"]).find((part) => !isReadable(part));
  if (odd) {
    const text = "This agent reads data (an object) and text; another part was in the message.";
    throw new A2aError("contentTypeNotSupported", text);
  }
}

const isReadable = ({ text, data }: JsonObject) => typeof text === "string" || isObject(data);

/** Data as it is; a text is JSON of an object, or the one text that the skill asks for. */
function readInput(message: JsonObject, { inputSchema }: SkillTool): JsonObject {
  if (message["role"] === "ROLE_AGENT") return {};
  let input: JsonObject = {};
  for (const part of objectsOf(message["parts"])) {
    const { data } = part;
    const text = textAt(part, "text");
    if (isObject(data)) input = { ...input, ...data };
    else if (text !== undefined) input = { ...input, ...readText(text, inputSchema) };
  }
  return input;
}

function readText(text: string, schema: JsonObject): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // plain words, then
  }
  const { properties, required } = schema;
  const known = Object.entries(isObject(properties) ? properties : {});
  const texts = known.filter(([, shape]) => isObject(shape) && shape["type"] === "string");
  const asked = Array.isArray(required) ? texts.filter(([name]) => required.includes(name)) : [];
  const [only, second] = asked.length > 0 ? asked : texts;
  return only && !second ? { [only[0]]: text } : {};
}
