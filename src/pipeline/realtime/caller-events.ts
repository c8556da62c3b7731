/**
 * What a caller may say within a session. Nearly everything passes as it came; a model is named only
 * as the gateway names it, and only the one that the session was opened with.
 */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Deployment } from "../../domain/model.ts";

export interface SessionModel {
  /** What the caller asked for. */
  readonly requested: string;
  readonly deployment: Deployment;
  /** A session that only transcribes names its model where others name a helper's. */
  readonly ofTranscripts: boolean;
}

/**
 * The message to send on, the model's name replaced by the provider's. Costs a search in the text;
 * what may hold a model's name is parsed. @throws GatewayError where it names another model
 */
export function admitEvent(text: string, model: SessionModel): string {
  // A name may be spelt with escapes, so what holds any is read too.
  if (!text.includes('"model"') && !text.includes("\\")) return text;
  let event: Json;
  try {
    event = JSON.parse(text) as Json;
  } catch {
    return text; // the provider says what is wrong with it
  }
  if (!isObject(event)) return text;
  let changed = event;
  for (const path of pathsOf(event, model.ofTranscripts)) changed = rename(changed, path, model);
  return changed === event ? text : JSON.stringify(changed);
}

/** Where a model may be named. Helpers of a session (its transcripts) are the provider's to judge. */
function pathsOf({ type }: JsonObject, ofTranscripts: boolean): readonly (readonly string[])[] {
  if (type === "response.create") return [["response", "model"]];
  if (typeof type !== "string" || !type.endsWith("session.update")) return [];
  if (!ofTranscripts) return [["session", "model"]];
  return [
    ["session", "model"],
    ["session", "input_audio_transcription", "model"],
    ["session", "audio", "input", "transcription", "model"],
  ];
}

/** The object with the name at a path replaced; itself where there is none, or it is right already. */
function rename(event: JsonObject, path: readonly string[], model: SessionModel): JsonObject {
  const [key = "", ...rest] = path;
  const value = event[key];
  if (value === undefined || value === null) return event;
  if (rest.length > 0) {
    if (!isObject(value)) return event;
    const inner = rename(value, rest, model);
    return inner === value ? event : { ...event, [key]: inner };
  }
  const { upstreamModel, group, candidate } = model.deployment;
  if (value === upstreamModel) return event;
  if ([model.requested, group, candidate].includes(String(value))) {
    return { ...event, [key]: upstreamModel };
  }
  throw new GatewayError(
    "permission_denied",
    `The session's model is "${excerpt(model.requested)}" and cannot become ${excerpt(JSON.stringify(value))}. Open another session for another model.`,
    { param: "session.model", wireType: "invalid_request_error" },
  );
}

/** A failure as the provider's own would be told in a session. */
export function toErrorEvent(error: GatewayError, id: string): string {
  const { message, wireType: type, wireCode: code, param = null } = error;
  return JSON.stringify({
    type: "error",
    event_id: `event_${id}`,
    error: { type, code, message, param, event_id: null },
  });
}
