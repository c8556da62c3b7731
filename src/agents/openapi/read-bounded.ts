/** A body as bytes, up to a limit. */

/** Undefined where it is longer; what is left of it is not read. */
export async function readBounded(
  response: Response,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > maxBytes) return undefined; // leaving the loop cancels the stream
    pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}
