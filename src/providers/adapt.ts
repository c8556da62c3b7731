/** Changes to a body that providers need; each answers the body itself where it changes nothing. */
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Adaptation } from "./provider.ts";

/** A field under another name; one that stands there already wins. */
export function rename(from: string, to: string): Adaptation {
  return (body) => {
    if (body[from] === undefined) return body; // most have none, and a copy is not free
    const { [from]: value, ...rest } = body;
    return to in rest ? rest : { ...rest, [to]: value };
  };
}

/** Fields that the provider refuses. */
export function drop(...keys: readonly string[]): Adaptation {
  return (body) => {
    if (!keys.some((key) => key in body)) return body;
    return Object.fromEntries(Object.entries(body).filter(([key]) => !keys.includes(key)));
  };
}

/** An adaptation for some models only. */
export function when(applies: (model: string) => boolean, change: Adaptation): Adaptation {
  const adapt: Adaptation = (body, options) =>
    applies(String(body["model"])) ? change(body, options) : body;
  return Object.assign(adapt, { applies });
}

/** Parameters that the provider refuses at any value but 1, where parameters may be dropped. */
export function dropUnlessOne(...keys: readonly string[]): Adaptation {
  return (body, { dropParams }) => {
    const refused = keys.filter((key) => body[key] !== undefined && body[key] !== 1);
    if (!dropParams || refused.length === 0) return body;
    return Object.fromEntries(Object.entries(body).filter(([key]) => !refused.includes(key)));
  };
}

/** Fields of messages that the provider refuses, but for some roles. */
export function dropInMessages(key: string, exceptRole?: string): Adaptation {
  return eachMessage((message) => {
    if (!(key in message) || message["role"] === exceptRole) return message;
    return Object.fromEntries(Object.entries(message).filter(([name]) => name !== key));
  });
}

/** What Gemini signed in a conversation that goes on elsewhere, beside a message or its calls. */
export const dropGoogleExtras: Adaptation = eachMessage((message) => {
  const { tool_calls: calls } = message;
  const isSigned = (holder: Json) => isObject(holder) && "extra_content" in holder;
  const signsCalls = Array.isArray(calls) && calls.some(isSigned);
  if (!(signsCalls || isSigned(message))) return message;
  const { extra_content: _, ...rest } = message;
  return signsCalls ? { ...rest, tool_calls: calls.map(withoutExtras) } : rest;
});

function withoutExtras(call: Json): Json {
  if (!isObject(call)) return call;
  const { extra_content: _, ...rest } = call;
  return rest;
}

/** Content in parts that are all text, as the one string that some servers insist on. */
export const flattenText: Adaptation = eachMessage((message) => {
  const { content } = message;
  if (!Array.isArray(content) || !content.every(isText)) return message;
  const texts = content.map((part: Json) => (isObject(part) ? String(part["text"]) : ""));
  return { ...message, content: texts.join("\n") };
});

const isText = (part: unknown) => isObject(part) && part["type"] === "text";

/** A change to every message; the body itself where none changes. */
export function eachMessage(change: (message: JsonObject) => JsonObject): Adaptation {
  return (body) => {
    const { messages } = body;
    if (!Array.isArray(messages)) return body;
    let changed: Json[] | undefined;
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i] as Json;
      const fresh = isObject(message) ? change(message) : message;
      if (fresh === message) continue;
      changed ??= [...messages];
      changed[i] = fresh;
    }
    return changed ? { ...body, messages: changed } : body;
  };
}
