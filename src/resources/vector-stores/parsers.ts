/**
 * PDF and Word, by libraries that few gateways ever need: the build packs this module, and they are
 * unpacked when the first such file comes (scripts/build.ts).
 */
import mammoth from "mammoth";
import { extractText, getDocumentProxy } from "unpdf";

/** Text of all pages, and how many there are; no text where they are more than `maxPages`. */
export async function readPdf(
  bytes: Uint8Array,
  maxPages: number,
): Promise<{ readonly pages: number; readonly text: string }> {
  const options = { isEvalSupported: false, verbosity: 0 };
  const document = await getDocumentProxy(new Uint8Array(bytes), options);
  const pages = document.numPages;
  if (pages > maxPages) return { pages, text: "" };
  const { text } = await extractText(document, { mergePages: false });
  return { pages, text: text.join("\n\n") };
}

export async function readWord(bytes: Uint8Array): Promise<string> {
  const { value } = await mammoth.extractRawText({ buffer: Buffer.from(bytes) });
  return value;
}
