/**
 * The text of a document, whatever wrote it: PDF, Word, HTML, and every kind of plain text. Runs in a
 * background thread. What a file is is told by its bytes; its name only settles what bytes do not.
 */
import { RpcError } from "../../std/rpc.ts";

export const extractLimits = {
  /** Of a file; beyond it a document is a data set. */
  fileBytes: 64 * 1024 * 1024,
  textChars: 32 * 1024 * 1024,
  pages: 10_000,
  /** Of a Word document's XML, unpacked. */
  wordBytes: 64 * 1024 * 1024,
  /** Of a page's elements, one in another: beyond it reading takes the square of it. */
  htmlDepth: 4_000,
} as const;

/** @throws RpcError invalid_file (damaged), unsupported_file (of a kind that holds no text for us) */
export async function extractText(bytes: Uint8Array, filename: string): Promise<string> {
  if (bytes.length > extractLimits.fileBytes) {
    throw new RpcError("invalid_file", `A document may have ${extractLimits.fileBytes} bytes.`);
  }
  const text = await read(bytes, filename);
  if (text.length > extractLimits.textChars) {
    const most = extractLimits.textChars;
    throw new RpcError("invalid_file", `The document's text is over ${most} characters.`);
  }
  return text.replaceAll("\r\n", "\n").trim();
}

async function read(bytes: Uint8Array, filename: string): Promise<string> {
  const start = Buffer.from(bytes.subarray(0, 512)).toString("latin1");
  if (start.includes("%PDF-")) return ofPdf(bytes);
  if (start.startsWith("PK\x03\x04")) return ofWord(bytes, filename);
  const text = decode(bytes);
  if (/^\s*(<!doctype html|<html|<\?xml[^>]*>\s*<!doctype html)/i.test(text)) return ofHtml(text);
  return /\.html?$/i.test(filename) ? ofHtml(text) : text;
}

async function ofPdf(bytes: Uint8Array): Promise<string> {
  const { readPdf } = await import("./parsers.ts");
  try {
    const { pages, text } = await readPdf(bytes, extractLimits.pages);
    if (pages <= extractLimits.pages) return text;
  } catch (cause) {
    if (cause instanceof Error && /password/i.test(`${cause.name} ${cause.message}`)) {
      throw new RpcError("invalid_file", "The PDF is encrypted: store it without its password.", {
        cause,
      });
    }
    throw damaged("PDF", cause);
  }
  throw new RpcError("invalid_file", `The PDF has more than ${extractLimits.pages} pages.`);
}

async function ofWord(bytes: Uint8Array, filename: string): Promise<string> {
  const { readWord } = await import("./parsers.ts");
  const xmlBytes = xmlBytesIn(bytes);
  if (xmlBytes > extractLimits.wordBytes) {
    const message = `The Word document unpacks to ${xmlBytes} bytes of XML; the limit is ${extractLimits.wordBytes}.`;
    throw new RpcError("invalid_file", message);
  }
  try {
    return await readWord(bytes);
  } catch (cause) {
    if (/\.docx$/i.test(filename)) throw damaged("Word document", cause);
    throw unsupported("an archive");
  }
}

/** What a ZIP's directory says of its XML parts. Source: APPNOTE.TXT 6.3.10, §4.3.12 and §4.3.16. */
function xmlBytesIn(bytes: Uint8Array): number {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = file.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  if (end < 0 || end + 22 > file.length) return 0; // damaged: its reader says how
  let at = file.readUInt32LE(end + 16);
  let sum = 0;
  for (let left = file.readUInt16LE(end + 10); left > 0; left--) {
    if (at + 46 > file.length || file.readUInt32LE(at) !== 0x02014b50) return sum;
    const nameEnd = at + 46 + file.readUInt16LE(at + 28);
    if (/\.(xml|rels)$/i.test(file.toString("latin1", at + 46, nameEnd))) {
      sum += file.readUInt32LE(at + 24);
    }
    at = nameEnd + file.readUInt16LE(at + 30) + file.readUInt16LE(at + 32);
  }
  return sum;
}

const voidElements = /^(area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)$/;

/** How deep elements stand in one another, at the most; what scripts hold is none. */
function depthOf(html: string): number {
  const lower = html.toLowerCase();
  const tags = /<(\/?)([a-z][a-z0-9-]*)/g;
  let depth = 0;
  let most = 0;
  for (let tag = tags.exec(lower); tag; tag = tags.exec(lower)) {
    const [, close, name = ""] = tag;
    if (close) depth = Math.max(0, depth - 1);
    else if (!voidElements.test(name)) most = Math.max(most, ++depth);
    if (close || (name !== "script" && name !== "style")) continue;
    const end = lower.indexOf(`</${name}`, tags.lastIndex);
    if (end < 0) break;
    tags.lastIndex = end;
  }
  return most;
}

/** What a reader of the page would read: no scripts, no styles; blocks on lines of their own. */
async function ofHtml(html: string): Promise<string> {
  if (depthOf(html) > extractLimits.htmlDepth) {
    const message = `The page's elements stand more than ${extractLimits.htmlDepth} deep in one another.`;
    throw new RpcError("invalid_file", message);
  }
  let text = "";
  let hidden = 0;
  const hides = {
    element(element: HTMLRewriterTypes.Element) {
      hidden += 1;
      element.onEndTag(() => {
        hidden -= 1;
      });
    },
  };
  const breaks = {
    element(element: HTMLRewriterTypes.Element) {
      text += "\n";
      if (element.canHaveContent && !element.selfClosing) {
        element.onEndTag(() => {
          text += "\n";
        });
      }
    },
  };
  const rewriter = new HTMLRewriter()
    .on("script, style, noscript, template, svg", hides)
    .on(blocks, breaks)
    .onDocument({
      text(piece) {
        if (hidden === 0) text += piece.text;
      },
    });
  await rewriter.transform(new Response(html)).text();
  return decodeEntities(text)
    .replaceAll(/[ \t]+/g, " ")
    .replaceAll(/ ?\n[ \n]*/g, "\n");
}

const blocks =
  "p, div, section, article, header, footer, li, tr, table, h1, h2, h3, h4, h5, h6, br, pre, blockquote, title";

const entities: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
};

/** Those that nearly all pages have, and all by number. */
function decodeEntities(text: string): string {
  return text.replaceAll(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w{2,6}));/gi,
    (whole, dec, hex, name) => {
      if (name !== undefined) return entities[String(name).toLowerCase()] ?? whole;
      const code = dec === undefined ? Number.parseInt(hex, 16) : Number(dec);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

function decode(bytes: Uint8Array): string {
  const utf16 =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const encoding = utf16 ? (bytes[0] === 0xff ? "utf-16le" : "utf-16be") : "utf-8";
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    // No UTF-8, and nothing but characters: an older text of a western language.
    if (!utf16 && bytes.every(isPrintable)) return new TextDecoder("windows-1252").decode(bytes);
  }
  throw unsupported("binary");
}

const isPrintable = (byte: number) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d);

function damaged(kind: string, cause: unknown): RpcError {
  const why = cause instanceof Error ? cause.message.slice(0, 200) : "no reason given";
  return new RpcError("invalid_file", `The ${kind} cannot be read: ${why}`, { cause });
}

function unsupported(what: string): RpcError {
  const message = `The file is ${what}: text is read from PDF, Word (.docx), HTML, Markdown, JSON, code and plain text.`;
  return new RpcError("unsupported_file", message);
}
