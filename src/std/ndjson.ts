/** JSON texts, a line each (https://github.com/ndjson/ndjson-spec), as frames whose data is the line. */
import { maxSseFrameBytes, type SseFrame, SseFrameTooLarge } from "./sse.ts";

const lf = 10;
const empty = new Uint8Array(0);

export interface NdjsonParser {
  /** The lines that this chunk completes; blank ones are left out. @throws SseFrameTooLarge */
  push(chunk: Uint8Array): SseFrame[];
  /** The last line, where only its end is missing. */
  end(): SseFrame[];
}

/** Cost: the search for line ends is native; a line that straddles chunks is joined once. */
export function createNdjsonParser(limitBytes: number = maxSseFrameBytes): NdjsonParser {
  const decoder = new TextDecoder();
  let pieces: Uint8Array[] = [];
  let size = 0;

  function hold(piece: Uint8Array): void {
    if (piece.length === 0) return;
    size += piece.length;
    if (size > limitBytes) throw new SseFrameTooLarge(limitBytes);
    pieces.push(piece);
  }

  function take(frames: SseFrame[]): void {
    const raw = pieces.length === 1 ? (pieces[0] ?? empty) : Buffer.concat(pieces, size);
    pieces = [];
    size = 0;
    const data = decoder.decode(raw).trim();
    if (data !== "") frames.push({ event: "", data, raw });
  }

  return {
    push(chunk) {
      const frames: SseFrame[] = [];
      let start = 0;
      for (let at = chunk.indexOf(lf); at >= 0; at = chunk.indexOf(lf, start)) {
        hold(chunk.subarray(start, at + 1));
        take(frames);
        start = at + 1;
      }
      hold(chunk.subarray(start));
      return frames;
    },
    end() {
      const frames: SseFrame[] = [];
      if (size > 0) take(frames);
      return frames.filter(({ data }) => isJson(data));
    },
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // cut within the line
  }
}
