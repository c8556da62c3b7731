/** The hot path's contract over `fetch`: where HTTP/2 is spoken, or a proxy connects. */

import { readHeaderLines } from "./destination.ts";
import type { Outbound, SendRequest } from "./outbound.ts";
import type { Bytes, OutboundReply } from "./reply.ts";
import { BodyTooLarge } from "./reply.ts";

export async function sendByFetch(
  fetchOut: Outbound["fetch"],
  { to, lines, body, cancel, connectTimeoutMs }: SendRequest,
): Promise<OutboundReply> {
  const { url, method, trust } = to;
  const headers = lines ? { ...to.headers, ...readHeaderLines(lines) } : to.headers;
  const content = body.length > 0 ? { body } : {};
  const { signal } = cancel;
  const response = await fetchOut({
    ...{ url, method, headers, ...content, signal, trust },
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
  });
  return toReply(response);
}

export function toReply(response: Response): OutboundReply {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  const { headers, body } = response;
  const openReader = () => {
    reader ??= body?.getReader() as ReadableStreamDefaultReader<Uint8Array> | undefined;
    return reader;
  };
  return {
    status: response.status,
    header: (name) => headers.get(name) ?? undefined,
    headers: () => headers,
    whole: (limitBytes, beyond) => readUpTo(response, limitBytes, beyond),
    async read(explain) {
      try {
        for (;;) {
          const result = await openReader()?.read();
          if (!result || result.done) return undefined;
          if (result.value.length > 0) return result.value;
        }
      } catch (thrown) {
        throw explain ? explain(thrown) : thrown;
      }
    },
    // A stream that broke is closed already; there is nobody left to tell.
    close: () => void (reader ?? body)?.cancel().catch(() => undefined),
  };
}

async function readUpTo(
  response: Response,
  limitBytes: number,
  beyond: "cut" | "refuse",
): Promise<Bytes> {
  const declared = Number(response.headers.get("content-length") ?? Number.NaN);
  const plain = response.headers.get("content-encoding") === null;
  if (plain && declared <= limitBytes) return response.arrayBuffer();
  if (!response.body) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length;
    parts.push(part);
    if (length <= limitBytes) continue;
    if (beyond === "cut") break;
    throw new BodyTooLarge(limitBytes);
  }
  const all = Buffer.concat(parts);
  return all.length > limitBytes ? all.subarray(0, limitBytes) : all;
}
