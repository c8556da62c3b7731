/**
 * Server-sent events by the WHATWG rules, whatever the chunk borders.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 *
 * Two departures, both so that nothing is lost on the way through: a frame of comments alone is
 * handed out too (its bytes must reach the caller), and so is a last frame whose lines are all
 * complete but whose blank line never came. `id` and `retry` are read by nobody here.
 */
export interface SseFrame {
  /** The `event` field; empty where absent (which means "message"). */
  readonly event: string;
  /** The `data` lines, joined by "\n"; empty for a frame of comments alone. */
  readonly data: string;
  /** The bytes of the frame as they came, its blank line included. */
  readonly raw: Uint8Array;
}

/** The largest frame that is held in memory: an image in base64 fits, an endless line does not. */
export const maxSseFrameBytes = 16 * 1024 * 1024;

/** A frame passed the limit; the stream cannot be read on. */
export class SseFrameTooLarge extends Error {
  constructor(limitBytes: number) {
    super(`a server-sent event is larger than ${limitBytes} bytes`);
    this.name = "SseFrameTooLarge";
  }
}

export interface SseParser {
  /**
   * The frames that this chunk completes. Frames may be views on the chunk, so it must not be
   * written to again. @throws SseFrameTooLarge
   */
  push(chunk: Uint8Array): SseFrame[];
  /** The last frame, where its lines are complete and only the blank line is missing. */
  end(): SseFrame[];
}

const lf = 10;
const cr = 13;
const colon = 58;
const space = 32;
const empty = new Uint8Array(0);
const none = -1; // indexOf's word for it
const unknown = -2;

/**
 * The synchronous parser of the hot path. The raw bytes of all frames, joined, are the stream.
 * A frame ends with the terminator of its blank line; where lines end in bare CR, an LF after the
 * blank line's CR becomes an empty frame of its own, so that no frame waits for a byte that may
 * never come. Cost: the search for line ends is native; per frame one decoded string and no copy,
 * unless the frame straddles chunks. Measured in test/bench/wire.bench.ts.
 */
export function createSseParser(limitBytes: number = maxSseFrameBytes): SseParser {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let held = empty; // the unfinished frame of earlier chunks, with room to grow
  let heldLength = 0;
  let lineStart = 0; // in the unfinished frame: the lines before it are read
  let searched = 0; // in the unfinished frame: no terminator from lineStart to here
  let bareCr = false; // the frame's last line ended in CR alone
  let started = false; // past the byte order mark
  let event = "";
  let data = "";
  let hasData = false;

  function readLine(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] === colon) return;
    const isData = startsWith(bytes, start, end, dataName);
    if (!isData && !startsWith(bytes, start, end, eventName)) return;
    const nameEnd = start + (isData ? dataName.length : eventName.length);
    if (nameEnd < end && bytes[nameEnd] !== colon) return; // "database: x" is no data
    let valueStart = Math.min(nameEnd + 1, end);
    if (valueStart < end && bytes[valueStart] === space) valueStart++;
    const value = decoder.decode(bytes.subarray(valueStart, end));
    if (!isData) {
      event = value;
      return;
    }
    data = hasData ? `${data}\n${value}` : value;
    hasData = true;
  }

  function takeFrame(raw: Uint8Array): SseFrame {
    if (raw.length > limitBytes) throw new SseFrameTooLarge(limitBytes);
    const frame = { event, data, raw };
    event = "";
    data = "";
    hasData = false;
    bareCr = false;
    return frame;
  }

  /** Reads on; answers how many bytes belong to finished frames. */
  function scan(bytes: Uint8Array, view: boolean, frames: SseFrame[]): number {
    let frameStart = 0;
    let nextLf = unknown;
    let nextCr = unknown;
    if (!started) {
      if (isBomPrefix(bytes)) return 0; // one or two bytes of a mark: wait for the third
      started = true;
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) lineStart = searched = 3;
    }
    for (;;) {
      if (nextLf !== none && nextLf < searched) nextLf = bytes.indexOf(lf, searched);
      if (nextCr !== none && nextCr < searched) nextCr = bytes.indexOf(cr, searched);
      const atCr = nextCr !== none && (nextLf === none || nextCr < nextLf);
      const lineEnd = atCr ? nextCr : nextLf;
      if (lineEnd === none) {
        searched = bytes.length;
        break;
      }
      const blank = lineEnd === lineStart;
      let next = lineEnd + 1;
      if (atCr && !(blank && bareCr)) {
        if (next === bytes.length) {
          searched = lineEnd; // CR, or half of CR LF? The next byte says.
          break;
        }
        if (bytes[next] === lf) next++;
      }
      if (blank) {
        frames.push(
          takeFrame(view ? bytes.subarray(frameStart, next) : bytes.slice(frameStart, next)),
        );
        frameStart = next;
      } else {
        readLine(bytes, lineStart, lineEnd);
        bareCr = atCr && next === lineEnd + 1;
      }
      lineStart = searched = next;
    }
    lineStart -= frameStart;
    searched -= frameStart;
    return frameStart;
  }

  function hold(rest: Uint8Array): void {
    if (heldLength + rest.length > held.length) {
      const grown = new Uint8Array(Math.max(1024, 2 * (heldLength + rest.length)));
      grown.set(held.subarray(0, heldLength));
      held = grown;
    }
    held.set(rest, heldLength);
    heldLength += rest.length;
  }

  return {
    push(chunk) {
      const frames: SseFrame[] = [];
      if (chunk.length === 0) return frames;
      if (heldLength === 0 && isOneData(chunk) && chunk.length <= limitBytes) {
        started = true;
        frames.push({ event: "", data: decoder.decode(chunk).slice(6, -2), raw: chunk });
      } else if (heldLength === 0) {
        const consumed = scan(chunk, true, frames);
        if (consumed < chunk.length) hold(chunk.subarray(consumed));
      } else {
        hold(chunk);
        const consumed = scan(held.subarray(0, heldLength), false, frames);
        if (consumed > 0) held.copyWithin(0, consumed, heldLength);
        heldLength -= consumed;
      }
      if (heldLength > limitBytes) throw new SseFrameTooLarge(limitBytes);
      return frames;
    },
    end() {
      if (heldLength === 0) return [];
      const rest = held.slice(0, heldLength);
      heldLength = 0;
      const halfEnded = searched === rest.length - 1 && rest[searched] === cr;
      if (!halfEnded && lineStart !== rest.length) return []; // cut within a line
      if (halfEnded) readLine(rest, lineStart, rest.length - 1);
      return [takeFrame(rest)];
    },
  };
}

/** Frames of a stream of chunks. @throws SseFrameTooLarge, and whatever the chunks throw. */
export async function* parseSse(
  chunks: AsyncIterable<Uint8Array>,
  limitBytes: number = maxSseFrameBytes,
): AsyncGenerator<SseFrame> {
  const parser = createSseParser(limitBytes);
  for await (const chunk of chunks) yield* parser.push(chunk);
  yield* parser.end();
}

/** One event as text, its blank line included. Line breaks in `data` become several data lines. */
export function encodeSse(frame: { readonly event?: string; readonly data: string }): string {
  const head = frame.event ? `event: ${frame.event}\n` : "";
  if (!/[\r\n]/.test(frame.data)) return `${head}data: ${frame.data}\n\n`;
  const lines = frame.data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `${head}${lines.join("")}\n`;
}

const dataName = new Uint8Array([100, 97, 116, 97]);
const eventName = new Uint8Array([101, 118, 101, 110, 116]);

/** Nearly every chunk is one event of one line, `data: …` and a blank line: told by a look. */
function isOneData(chunk: Uint8Array): boolean {
  const end = chunk.length - 2;
  if (end < 6 || chunk[end] !== lf || chunk[end + 1] !== lf) return false;
  if (chunk[4] !== colon || chunk[5] !== space || !startsWith(chunk, 0, 4, dataName)) return false;
  return chunk.indexOf(lf) === end && !chunk.includes(cr);
}

function startsWith(bytes: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start < name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false;
  return true;
}

function isBomPrefix(bytes: Uint8Array): boolean {
  return bytes.length < 3 && bytes[0] === 0xef && (bytes.length < 2 || bytes[1] === 0xbb);
}
