/**
 * A request's body, within its limits of size and of time. What is small comes under the runtime's
 * own limit (`idleTimeout`, which also ends heads that never end): a timer per call would cost more
 * than the reading. What is bigger has a deadline of ours, and an answer when it passes.
 */
import type { RequestHeaders } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import type { Services } from "../pipeline/services.ts";
import { createDeadline } from "../std/deadline.ts";

export const receiveLimits = {
  /** A body of a stated length up to this is left to the runtime's limit. */
  smallBytes: 65_536,
  /** Beyond `receive_ms`, a body must have come at this rate on average: a modem's. */
  minBytesPerMs: 8,
} as const;

export type Reception = Pick<Services, "clock" | "config" | "connections">;

/**
 * A JSON body's bytes.
 * @throws GatewayError unsupported_media_type, body_too_large, request_timeout, caller_gone
 */
export async function readBytes(
  request: Request,
  reception: Reception,
  limitBytes: number = reception.config.routeiq.bodyLimitBytes,
): Promise<Uint8Array | ArrayBuffer> {
  assertMediaType(request.headers);
  return readAny(request, reception, limitBytes);
}

/** The same of a body of any kind. */
export async function readAny(
  request: Request,
  reception: Reception,
  limitBytes: number,
): Promise<Uint8Array | ArrayBuffer> {
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) > limitBytes) throw tooLarge(limitBytes);
  const isSmall = length !== null && Number(length) <= receiveLimits.smallBytes;
  if (!isSmall || !reception.connections?.hold) {
    const pieces = await Array.fromAsync(readPieces(request, reception, limitBytes));
    return Buffer.concat(pieces);
  }
  let bytes: ArrayBuffer;
  try {
    bytes = await request.arrayBuffer();
  } catch (cause) {
    throw brokeOff(cause);
  }
  reception.connections.hold(request);
  return bytes;
}

/**
 * A body's pieces as they come, up to a limit whatever its length was said to be. Only the waiting
 * for the caller counts against his time, not what is done with a piece.
 * @throws GatewayError body_too_large, request_timeout, caller_gone
 */
export async function* readPieces(
  request: Request,
  { clock, config, connections }: Reception,
  limitBytes: number,
): AsyncGenerator<Uint8Array> {
  connections?.hold?.(request);
  const reader: Reader | undefined = request.body?.getReader();
  if (!reader) return;
  const { receiveMs } = config.routeiq.timeouts;
  const { promise: late, reject } = Promise.withResolvers<never>();
  late.catch(() => undefined); // nobody may be waiting any more
  const deadline = createDeadline(clock, () => reject(tooSlow(receiveMs)));
  let size = 0;
  let waitedMs = 0;
  try {
    for (;;) {
      const fromMs = clock.now();
      deadline.set(Math.max(0, receiveMs + size / receiveLimits.minBytesPerMs - waitedMs));
      const { done, value } = await Promise.race([read(reader), late]);
      waitedMs += clock.now() - fromMs;
      deadline.clear();
      if (done) return;
      size += value.length;
      if (size > limitBytes) throw tooLarge(limitBytes);
      yield value;
    }
  } finally {
    deadline.clear();
    // Refused where a read is still open; the rest of the body goes with the connection.
    reader.cancel().catch(() => undefined);
  }
}

interface Reader {
  read(): Promise<ReadResult>;
  cancel(): Promise<void>;
}
type ReadResult =
  | { readonly done: true; readonly value?: undefined }
  | { readonly done: false; readonly value: Uint8Array };

async function read(reader: Reader): Promise<ReadResult> {
  try {
    return await reader.read();
  } catch (cause) {
    throw brokeOff(cause);
  }
}

/** The caller hung up, or its chunks were none, or it took longer than the runtime lets it. */
function brokeOff(cause: unknown): GatewayError {
  const message = "The connection ended before the request's body was whole.";
  return new GatewayError("caller_gone", message, { cause });
}

function tooSlow(receiveMs: number): GatewayError {
  return new GatewayError(
    "request_timeout",
    `The request's body did not come in time: the limit is ${receiveMs} ms and what its length needs. Send it faster, or raise routeiq_settings.timeouts.receive_ms.`,
  );
}

export function tooLarge(limitBytes: number): GatewayError {
  return new GatewayError(
    "body_too_large",
    `The body is larger than the limit of ${limitBytes} bytes. Send less, or raise routeiq_settings.body_limit_bytes.`,
  );
}

/** JSON in UTF-8, not compressed. A page of another site cannot send that without asking first. */
export function assertMediaType(headers: RequestHeaders): void {
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding !== "" && encoding !== "identity") {
    throw new GatewayError(
      "unsupported_media_type",
      "Compressed request bodies are not read. Send the JSON without Content-Encoding.",
    );
  }
  const type = headers.get("content-type");
  if (type === null || type === "application/json") return;
  if (/^application\/([\w.-]+\+)?json\s*(;\s*charset="?utf-?8"?\s*)?$/i.test(type.trim())) return;
  throw new GatewayError(
    "unsupported_media_type",
    "The body must be JSON in UTF-8: send it with `Content-Type: application/json`.",
  );
}
