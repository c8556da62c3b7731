/** Bodies that come piece by piece on their way to a provider. */
import type { Upload } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import { toReply } from "../security/fetch-reply.ts";
import type { Outbound } from "../security/outbound.ts";
import type { UpstreamRequest } from "./client-contract.ts";
import { toUpstreamError } from "./client-errors.ts";
import { readOther } from "./other-replies.ts";
import type { Provider } from "./provider.ts";
import { clientLimits, type UpstreamReply } from "./read-reply.ts";

export interface FormTarget {
  readonly outbound: Outbound;
  readonly provider: Provider;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly limitBytes: number | undefined;
}

export async function sendForm(
  { call, deployment, cancel, connectTimeoutMs }: UpstreamRequest,
  upload: Upload,
  { outbound, provider, url, headers, limitBytes }: FormTarget,
): Promise<UpstreamReply> {
  const content = upload.open(deployment.upstreamModel, deployment.body);
  try {
    const response = await outbound.fetch({
      url,
      method: "POST",
      headers: { ...headers, "content-type": upload.contentType },
      body: content instanceof Uint8Array ? content : toReadable(content),
      signal: cancel.signal,
      trust: "operator",
      connectTimeoutMs,
    });
    return await readOther(toReply(response), { call, provider, cancel, limitBytes });
  } catch (thrown) {
    // A form that broke off breaks the connection: the form is what is to be told of.
    throw upload.failure ?? toUpstreamError(thrown, cancel, deployment);
  }
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of chunks) {
    length += part.length;
    if (length > clientLimits.signedBytes) {
      const message = `A body that is signed for AWS holds ${clientLimits.signedBytes} bytes at the most.`;
      throw new GatewayError("body_too_large", message);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Pulled as fast as the provider takes it. */
export function toReadable(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(sink) {
      const { value, done } = await iterator.next();
      if (done) sink.close();
      else sink.enqueue(value);
    },
    // The provider wants no more, or is gone.
    cancel: () => void iterator.return?.(),
  });
}
