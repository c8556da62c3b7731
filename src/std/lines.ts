/** Lines of a text that comes in pieces: UTF-8, ended by LF or CR LF, each within a limit. */

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

export class LineInvalid extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.name = "LineInvalid";
    this.line = line;
  }
}

const lf = 10;

/**
 * Blank lines count and are left out; so is a byte order mark. Holds one line and one piece at a time.
 * @throws LineInvalid where a line is over the limit or no UTF-8
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  limitBytes: number,
): AsyncGenerator<Line> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let pieces: Uint8Array[] = [];
  let size = 0;
  let number = 0;

  const hold = (piece: Uint8Array) => {
    size += piece.length;
    if (size > limitBytes) {
      throw new LineInvalid(`it is longer than ${limitBytes} bytes`, number + 1);
    }
    pieces.push(piece);
  };
  const take = (): Line | undefined => {
    number += 1;
    const raw = Buffer.concat(pieces, size);
    pieces = [];
    size = 0;
    try {
      const text = decoder.decode(raw).trim();
      return text === "" ? undefined : { number, text };
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      throw new LineInvalid("it is not UTF-8", number);
    }
  };

  for await (const chunk of source) {
    let start = 0;
    for (let at = chunk.indexOf(lf); at >= 0; at = chunk.indexOf(lf, start)) {
      hold(chunk.subarray(start, at));
      start = at + 1;
      const line = take();
      if (line) yield line;
    }
    // A copy: the piece may be used again by whoever reads.
    if (start < chunk.length) hold(chunk.slice(start));
  }
  const last = size > 0 ? take() : undefined;
  if (last) yield last;
}
