/**
 * A model group as an agent: a message is a question, the conversation's earlier tasks are what was
 * said before, and the answer is an artifact that grows. The question is a chat call like any other.
 */

import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Execute, ModelTarget, Work } from "./agent.ts";
import { A2aError } from "./errors.ts";
import { EventQueue } from "./event-queue.ts";
import { statusOf } from "./status.ts";
import { type HeldTask, type Tasks, taskLimits } from "./tasks.ts";
import { objectsOf, present, type TaskEvent, textAt } from "./wire.ts";

/** How a model is asked; the gateway wires it. */
export type AskModel = (question: {
  readonly body: JsonObject;
  readonly caller: Caller;
  readonly services: Services;
  readonly signal: AbortSignal;
  readonly onText: (piece: string) => void;
}) => Promise<{
  readonly text: string;
  readonly refusal: string;
  readonly finishReason: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Undefined: nobody knows its price. */
  readonly costMicroUsd?: number;
}>;

export interface ModelAgentParts {
  readonly tasks: Tasks;
  readonly services: () => Services;
  readonly ask: AskModel;
}

/** Earlier tasks of a conversation that a model is told. */
const toldTasks = 50;
const outputModes = ["text/plain", "text", "text/*", "*/*", "text/markdown"];

export function createModelAgent({ tasks, services, ask }: ModelAgentParts): Execute {
  return async function* execute(work) {
    const { agent, task, caller } = work;
    if (agent.serves.kind !== "model") throw new GatewayError("internal", "No model's agent.");
    const target = agent.serves;
    const { clock } = services();
    const ids = { taskId: task.id, contextId: task.contextId };
    const earlier = await tasks.ofContext(agent.id, caller.id, task.contextId, toldTasks);
    const body = toBody(target, work, earlier);
    yield { statusUpdate: { ...ids, status: statusOf("TASK_STATE_WORKING", clock) } };

    const artifactId = Bun.randomUUIDv7();
    const queue = new EventQueue();
    let begun = false;
    const piece = (text: string, lastChunk: boolean, metadata?: JsonObject): TaskEvent => {
      const artifact = {
        ...{ artifactId, name: "answer", parts: [{ text }] },
        ...(metadata ? { metadata } : {}),
      };
      const append = begun;
      begun = true;
      return { artifactUpdate: { ...ids, artifact, append, lastChunk } };
    };
    const signal = work.signal;
    const asked = ask({
      body,
      caller,
      services: services(),
      signal,
      onText: (text) => queue.push(piece(text, false)),
    });
    // A call that is given up may stay silent for ever: nobody is there to hear it.
    signal.addEventListener("abort", () => queue.end(signal.reason), { once: true });
    asked.then(
      () => queue.end(),
      (thrown) => queue.end(thrown),
    );
    yield* queue;
    const answer = await asked;
    const usage = { input_tokens: answer.promptTokens, output_tokens: answer.completionTokens };
    const metadata = { usage, finish_reason: answer.finishReason, model: target.model };
    // Which piece was the last is known only now: nothing is added, and the artifact is whole.
    yield piece(begun ? "" : answer.refusal, true, toFacts(answer, target));
    const refused = answer.text === "" && answer.refusal !== "";
    const status = statusOf(refused ? "TASK_STATE_REJECTED" : "TASK_STATE_COMPLETED", clock);
    yield { statusUpdate: { ...ids, status, metadata } };
  };
}

/** What the answer took; it stays with the artifact. Names in A2A's camel case. */
function toFacts(answer: Awaited<ReturnType<AskModel>>, { model }: ModelTarget): JsonObject {
  const { promptTokens, completionTokens, costMicroUsd, finishReason } = answer;
  const costUsd = costMicroUsd === undefined ? undefined : costMicroUsd / 1_000_000;
  const usage = present({ inputTokens: promptTokens, outputTokens: completionTokens, costUsd });
  return { model, finishReason, usage };
}

/** Before there is a task: what no model could answer. @throws A2aError contentTypeNotSupported */
export function assertAnswerable({ request }: Pick<Work, "request">): void {
  const { acceptedOutputModes: modes, message } = request;
  if (modes.length > 0 && !modes.some((mode) => outputModes.includes(mode))) {
    const message = `This agent answers in text/plain; asked for were ${modes.join(", ").slice(0, 100)}.`;
    throw new A2aError("contentTypeNotSupported", message);
  }
  for (const part of objectsOf(message["parts"])) toChatPart(part);
}

function toBody(
  target: ModelTarget,
  { task, request }: Work,
  earlier: readonly HeldTask[],
): JsonObject {
  const before = earlier
    .filter((held) => held.task.id !== task.id)
    .flatMap((held) => toTurns(held));
  const system =
    target.instructions === "" ? [] : [{ role: "system", content: target.instructions }];
  return {
    ...target.params,
    model: target.model,
    messages: [...system, ...before, toTurn(request.message)],
  };
}

/** What was said and what was answered. */
function toTurns({ task }: HeldTask): JsonObject[] {
  if (task.status.state !== "TASK_STATE_COMPLETED") return [];
  const answer = task.artifacts
    .flatMap((artifact) => objectsOf(artifact["parts"]))
    .map((part) => String(part["text"] ?? ""))
    .join("");
  return [...task.history.map(toTurn), { role: "assistant", content: answer }];
}

function toTurn(message: JsonObject): JsonObject {
  const parts = objectsOf(message["parts"]).map(toChatPart);
  const isText = parts.every(({ type }) => type === "text");
  const content: Json = isText ? parts.map(({ text }) => String(text)).join("\n") : parts;
  return { role: message["role"] === "ROLE_AGENT" ? "assistant" : "user", content };
}

/** @throws A2aError contentTypeNotSupported */
function toChatPart(part: JsonObject): JsonObject {
  const { text, data, raw, url } = part;
  const mediaType = textAt(part, "mediaType") ?? "";
  if (typeof text === "string") return { type: "text", text };
  if (data !== undefined) return { type: "text", text: JSON.stringify(data) };
  const isImage = mediaType.startsWith("image/");
  if (isImage && typeof url === "string") return { type: "image_url", image_url: { url } };
  if (typeof raw === "string" && raw.length <= taskLimits.chars) {
    if (isImage)
      return { type: "image_url", image_url: { url: `data:${mediaType};base64,${raw}` } };
    if (/^text\/|^application\/(json|xml|yaml)/.test(mediaType)) {
      return { type: "text", text: Buffer.from(raw, "base64").toString("utf8") };
    }
  }
  const name = present({ filename: part["filename"] })["filename"] ?? "a file";
  const message = `This agent reads text, JSON and images; ${String(name).slice(0, 60)} is ${mediaType || "of no stated media type"}.`;
  throw new A2aError("contentTypeNotSupported", message);
}
