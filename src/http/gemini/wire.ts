/**
 * What Gemini's callers say in the URL: the key, and the form of a stream. Without `alt=sse` it is
 * one JSON array that grows. Source: https://ai.google.dev/api/generate-content
 */
import { readKey } from "../../pipeline/authenticate.ts";
import type { ReplyStream } from "../../pipeline/reply.ts";
import { createSseParser } from "../../std/sse.ts";
import type { CallRoute } from "../call-route.ts";

/** The request's headers, with the key of `?key=` where they have none. */
export function withQueryKey(request: Request): Headers {
  const { headers, url } = request;
  if (!/[?&]key=/.test(url) || readKey(headers) !== undefined) return headers;
  const key = new URL(url).searchParams.get("key");
  if (!key || !/^[\x21-\x7e]+$/.test(key)) return headers;
  const keyed = new Headers(headers);
  keyed.set("x-goog-api-key", key);
  return keyed;
}

export function isJsonArray(url: string, { dialect, stream }: CallRoute): boolean {
  return dialect === "gemini" && stream === true && !/[?&]alt=sse(?:&|$)/.test(url);
}

const encoder = new TextEncoder();

/** The same stream as an array of its events. A failure within it is its last element. */
export function toJsonArray(stream: ReplyStream): ReplyStream {
  const parser = createSseParser();
  let opened = false;
  let ended = false;
  return {
    async next() {
      while (!ended) {
        const bytes = await stream.next();
        let text = "";
        for (const { data } of bytes ? parser.push(bytes) : parser.end()) {
          if (data === "") continue;
          text += `${opened ? ",\r\n" : "["}${data}`;
          opened = true;
        }
        if (!bytes) {
          ended = true;
          text += opened ? "]" : "[]";
        }
        if (text !== "") return encoder.encode(text);
      }
      return undefined;
    },
    cancel: (reason) => stream.cancel(reason),
  };
}
