/** Ugly documents: each ends soon, with its text or with a reason. */
import { expect, test } from "bun:test";
import { RpcError } from "../../std/rpc.ts";
import { extractText } from "./extract-text.ts";

const of = (text: string) => new TextEncoder().encode(text);
const latin = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));

/** A ZIP's end, whose directory says that one part is so large. */
function archiveOf(name: string, size: number): Uint8Array {
  const entry = Buffer.alloc(46 + name.length);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt32LE(size, 24);
  entry.writeUInt16LE(name.length, 28);
  entry.write(name, 46, "latin1");
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(4, 16);
  return new Uint8Array(Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), entry, end]));
}

const encrypted = `%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj
5 0 obj<</Filter/Standard/V 1/R 2/O<28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A>/U<28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE64536900>/P -4>>endobj
trailer<</Root 1 0 R/Encrypt 5 0 R/ID[<01><01>]>>`;

const read: readonly (readonly [string, string, Uint8Array, string])[] = [
  ["Latin-1", "a.txt", latin("caf\xe9\nna\xefve"), "café\nnaïve"],
  ["a page", "a.html", of("<p>x &amp; y</p><script>a<b;c<d</script><p>z"), "x & y\nz"],
  ["a page of much script", "a.html", of(`<p>x<script>${"i<n;".repeat(9_000)}</script>`), "x"],
];
test.each(read)("%s is read", async (_, name, bytes, text) => {
  expect(await extractText(bytes, name)).toBe(text);
});

const refused: readonly (readonly [string, string, Uint8Array, RegExp])[] = [
  ["an encrypted PDF", "a.pdf", latin(encrypted), /encrypted/],
  ["a bomb", "a.docx", archiveOf("word/document.xml", 300_000_000), /unpacks to 300000000 bytes/],
  ["no document", "a.docx", archiveOf("x.txt", 5), /Word document cannot be read/],
  ["a deep page", "a.html", of("<div>".repeat(200_000)), /deep in one another/],
  ["noise", "a.txt", latin("\xe9\x00\x01\x02"), /binary/],
];
test.each(refused)("%s is refused, with the reason", async (_, name, bytes, why) => {
  const thrown = await extractText(bytes, name).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(RpcError);
  expect(String(thrown)).toMatch(why);
});
