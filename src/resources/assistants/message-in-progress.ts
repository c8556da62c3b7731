/** The message that an answer becomes while it is said, and the step that makes it. */
import type { JsonObject } from "../../domain/json.ts";
import type { NewRecord, StoredRecord } from "../../storage/record-store.ts";
import { kinds, newId, toMessage, toStep } from "./objects.ts";
import { textPart } from "./read-body.ts";
import type { RunWork, Tell } from "./run-work.ts";

/** The message that an answer becomes, and the step that made it; neither is there before a word is. */
export class MessageInProgress {
  readonly #work: Pick<RunWork, "records" | "services">;
  readonly #tell: Tell;
  readonly #nowS: () => number;
  readonly #message: NewRecord;
  readonly #step: NewRecord;
  #text = "";
  begun = false;

  constructor(run: StoredRecord, work: RunWork, tell: Tell, nowS: () => number) {
    this.#work = work;
    this.#tell = tell;
    this.#nowS = nowS;
    const messageId = newId("msg");
    const assistant_id = run.value["assistant_id"] ?? null;
    this.#message = {
      kind: kinds.message,
      id: messageId,
      owner: run.owner,
      parent: run.parent,
      tag: run.id,
      value: {
        status: "in_progress",
        role: "assistant",
        content: [],
        assistant_id,
        run_id: run.id,
      },
    };
    this.#step = {
      kind: kinds.step,
      id: newId("step"),
      owner: run.owner,
      parent: run.id,
      value: {
        type: "message_creation",
        status: "in_progress",
        assistant_id,
        thread_id: run.parent,
        step_details: { type: "message_creation", message_creation: { message_id: messageId } },
      },
    };
  }

  add(piece: string): void {
    if (!this.begun) {
      this.begun = true;
      const createdMs = this.#work.services().clock.now();
      const step = toStep(asStored(this.#step, createdMs));
      const message = toMessage(asStored(this.#message, createdMs));
      this.#tell("thread.run.step.created", step);
      this.#tell("thread.run.step.in_progress", step);
      this.#tell("thread.message.created", message);
      this.#tell("thread.message.in_progress", message);
    }
    this.#text += piece;
    this.#tell("thread.message.delta", {
      id: this.#message.id,
      object: "thread.message.delta",
      delta: { content: [{ index: 0, type: "text", text: { value: piece } }] },
    });
  }

  /** Written once it is whole; what was said before a failure is kept, and marked so. */
  async end(incomplete?: "max_tokens" | "run_failed", usage?: JsonObject): Promise<void> {
    if (!this.begun) return;
    const { records } = this.#work;
    const status = incomplete ? "incomplete" : "completed";
    const ended_at = this.#nowS();
    const details = incomplete ? { incomplete_details: { reason: incomplete } } : {};
    const content = [textPart(this.#text)];
    const message = await records.put({
      ...this.#message,
      value: { ...this.#message.value, status, content, ended_at, ...details },
    });
    const failed = incomplete === "run_failed";
    const step = await records.put({
      ...this.#step,
      value: {
        ...this.#step.value,
        status: failed ? "failed" : "completed",
        ended_at,
        ...(usage ? { usage } : {}),
      },
    });
    this.#tell(`thread.message.${status}`, toMessage(message));
    this.#tell(`thread.run.step.${failed ? "failed" : "completed"}`, toStep(step));
  }
}

function asStored(record: NewRecord, createdMs: number): StoredRecord {
  const { owner = "", parent = "", tag = "" } = record;
  return { ...record, owner, parent, tag, createdMs, updatedMs: createdMs, version: 1 };
}
