/**
 * A document's text in passages of about one size, each beginning where something begins. Tokens are
 * estimated at four characters: which tokenizer a later model has nobody knows.
 */

export interface ChunkSettings {
  /** OpenAI's `max_chunk_size_tokens`, 100 to 4096. */
  readonly maxTokens: number;
  /** `chunk_overlap_tokens`, at most half of it. */
  readonly overlapTokens: number;
}

/** OpenAI's "auto". */
export const autoChunks: ChunkSettings = { maxTokens: 800, overlapTokens: 400 };

export const charsPerToken = 4;

/** From the best to break at to the worst. */
const breaks = ["\n\n", "\n", ". ", "? ", "! ", "; ", ", ", " "] as const;

export function chunkText(text: string, { maxTokens, overlapTokens }: ChunkSettings): string[] {
  const size = maxTokens * charsPerToken;
  const overlap = overlapTokens * charsPerToken;
  const chunks: string[] = [];
  for (let start = 0; start < text.length; ) {
    const end = start + size >= text.length ? text.length : breakBefore(text, start, start + size);
    const chunk = text.slice(start, end).trim();
    if (chunk !== "") chunks.push(chunk);
    if (end === text.length) break;
    // The next one begins within this one's end, at a word; and always further on.
    const from = wordFrom(text, Math.max(start + 1, end - overlap), end);
    start = from > start ? from : end;
  }
  return chunks;
}

/** The best break in the last third, so that chunks stay of about one size. */
function breakBefore(text: string, start: number, end: number): number {
  const floor = start + Math.floor(((end - start) * 2) / 3);
  for (const mark of breaks) {
    const at = text.lastIndexOf(mark, end - mark.length);
    if (at >= floor) return at + mark.length;
  }
  // No break at all: between characters, never within one.
  const code = text.charCodeAt(end);
  return code >= 0xdc00 && code <= 0xdfff ? end - 1 : end;
}

function wordFrom(text: string, from: number, end: number): number {
  const space = text.indexOf(" ", from);
  return space >= 0 && space < end ? space + 1 : from;
}
