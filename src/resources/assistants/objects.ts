/** Assistants, threads, messages, runs and steps as the API shows them. Source: OpenAI's Assistants API, v2. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { StoredRecord } from "../../storage/record-store.ts";

export const kinds = {
  assistant: "assistant",
  thread: "thread",
  message: "thread-message",
  run: "thread-run",
  step: "thread-run-step",
} as const;

export const newId = (prefix: string) => `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;
export const seconds = (ms: number) => Math.floor(ms / 1000);

const orNull = (value: Json | undefined): Json => value ?? null;

export function toAssistant({ id, createdMs, value }: StoredRecord): JsonObject {
  return {
    id,
    object: "assistant",
    created_at: seconds(createdMs),
    name: orNull(value["name"]),
    description: orNull(value["description"]),
    model: orNull(value["model"]),
    instructions: orNull(value["instructions"]),
    tools: value["tools"] ?? [],
    tool_resources: orNull(value["tool_resources"]),
    metadata: value["metadata"] ?? {},
    temperature: orNull(value["temperature"]),
    top_p: orNull(value["top_p"]),
    reasoning_effort: orNull(value["reasoning_effort"]),
    response_format: value["response_format"] ?? "auto",
  };
}

export function toThread({ id, createdMs, value }: StoredRecord): JsonObject {
  return {
    id,
    object: "thread",
    created_at: seconds(createdMs),
    tool_resources: orNull(value["tool_resources"]),
    metadata: value["metadata"] ?? {},
  };
}

export function toMessage({ id, createdMs, parent, value }: StoredRecord): JsonObject {
  const status = value["status"] ?? "completed";
  return {
    id,
    object: "thread.message",
    created_at: seconds(createdMs),
    thread_id: parent,
    status,
    incomplete_details: orNull(value["incomplete_details"]),
    completed_at: status === "completed" ? (value["ended_at"] ?? seconds(createdMs)) : null,
    incomplete_at: status === "incomplete" ? orNull(value["ended_at"]) : null,
    role: value["role"] ?? "user",
    content: value["content"] ?? [],
    assistant_id: orNull(value["assistant_id"]),
    run_id: orNull(value["run_id"]),
    attachments: value["attachments"] ?? [],
    metadata: value["metadata"] ?? {},
  };
}

export type RunStatus =
  | "queued"
  | "in_progress"
  | "requires_action"
  | "cancelling"
  | "cancelled"
  | "failed"
  | "completed"
  | "incomplete"
  | "expired";

export const isRunOver = (status: Json | undefined) =>
  /^(cancelled|failed|completed|incomplete|expired)$/.test(String(status));

export function toRun({ id, createdMs, parent, value }: StoredRecord): JsonObject {
  const open = !isRunOver(value["status"]);
  const settings = isObject(value["settings"]) ? value["settings"] : {};
  return {
    id,
    object: "thread.run",
    created_at: seconds(createdMs),
    thread_id: parent,
    assistant_id: orNull(value["assistant_id"]),
    status: value["status"] ?? "queued",
    required_action:
      value["status"] === "requires_action" ? orNull(value["required_action"]) : null,
    last_error: orNull(value["last_error"]),
    expires_at: open ? orNull(value["expires_at"]) : null,
    started_at: orNull(value["started_at"]),
    cancelled_at: orNull(value["cancelled_at"]),
    failed_at: orNull(value["failed_at"]),
    completed_at: orNull(value["completed_at"]),
    incomplete_details: orNull(value["incomplete_details"]),
    model: orNull(settings["model"]),
    instructions: settings["instructions"] ?? "",
    tools: settings["tools"] ?? [],
    metadata: value["metadata"] ?? {},
    usage: open ? null : orNull(value["usage"]),
    temperature: orNull(settings["temperature"]),
    top_p: orNull(settings["top_p"]),
    max_prompt_tokens: orNull(settings["max_prompt_tokens"]),
    max_completion_tokens: orNull(settings["max_completion_tokens"]),
    truncation_strategy: settings["truncation_strategy"] ?? { type: "auto", last_messages: null },
    tool_choice: settings["tool_choice"] ?? "auto",
    parallel_tool_calls: settings["parallel_tool_calls"] ?? true,
    response_format: settings["response_format"] ?? "auto",
    reasoning_effort: orNull(settings["reasoning_effort"]),
  };
}

export function toStep({ id, createdMs, parent, value }: StoredRecord): JsonObject {
  const at = (status: string) => (value["status"] === status ? orNull(value["ended_at"]) : null);
  return {
    id,
    object: "thread.run.step",
    created_at: seconds(createdMs),
    assistant_id: orNull(value["assistant_id"]),
    thread_id: orNull(value["thread_id"]),
    run_id: parent,
    type: value["type"] ?? "message_creation",
    status: value["status"] ?? "in_progress",
    step_details: value["step_details"] ?? {},
    last_error: orNull(value["last_error"]),
    expired_at: at("expired"),
    cancelled_at: at("cancelled"),
    failed_at: at("failed"),
    completed_at: at("completed"),
    metadata: {},
    usage: orNull(value["usage"]),
  };
}
