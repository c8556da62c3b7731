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
    throw damaged("PDF", cause);
  }
  throw new RpcError("invalid_file", `The PDF has more than ${extractLimits.pages} pages.`);
}

async function ofWord(bytes: Uint8Array, filename: string): Promise<string> {
  const { readWord } = await import("./parsers.ts");
  try {
    return await readWord(bytes);
  } catch (cause) {
    if (/\.docx$/i.test(filename)) throw damaged("Word document", cause);
    throw unsupported("an archive");
  }
}

/** What a reader of the page would read: no scripts, no styles; blocks on lines of their own. */
async function ofHtml(html: string): Promise<string> {
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
  }
  throw unsupported("binary");
}

function damaged(kind: string, cause: unknown): RpcError {
  const why = cause instanceof Error ? cause.message.slice(0, 200) : "no reason given";
  return new RpcError("invalid_file", `The ${kind} cannot be read: ${why}`, { cause });
}

function unsupported(what: string): RpcError {
  const message = `The file is ${what}: text is read from PDF, Word (.docx), HTML, Markdown, JSON, code and plain text.`;
  return new RpcError("unsupported_file", message);
}
