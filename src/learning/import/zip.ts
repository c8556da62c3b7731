/**
 * The files of a zip archive that stores them as they are, as torch.save does.
 * Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3)
 */
import { Reader } from "./reader.ts";
import { refuseImport } from "./values.ts";

const endBytes = 22;
const longestComment = 65_535;
const mostEntries = 4_096;

/** Name → bytes, views of the archive. @throws GatewayError artifact_refused */
export function openZip(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const end = new Reader(bytes, findEnd(bytes) + 10);
  const count = end.u16();
  end.u32();
  const directory = new Reader(bytes, 0);
  directory.take(end.u32());
  if (count > mostEntries) refuseImport(`the zip archive holds more than ${mostEntries} files`);
  const entries = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const { name, size, at, method } = readEntry(directory);
    if (method !== 0)
      refuseImport(`the zip archive's file ${name} is packed; torch.save packs none`);
    if (entries.has(name)) refuseImport(`the zip archive holds ${name} twice`);
    const local = new Reader(bytes, 0);
    local.take(at);
    if (local.u32() !== 0x04034b50) refuseImport("the zip archive is broken");
    local.take(22);
    const nameBytes = local.u16();
    local.take(nameBytes + local.u16());
    entries.set(name, local.take(size));
  }
  return entries;
}

function findEnd(bytes: Uint8Array): number {
  const first = Math.max(0, bytes.length - endBytes - longestComment);
  for (let at = bytes.length - endBytes; at >= first; at--) {
    if (
      bytes[at] === 0x50 &&
      bytes[at + 1] === 0x4b &&
      bytes[at + 2] === 0x05 &&
      bytes[at + 3] === 0x06
    ) {
      return at;
    }
  }
  return refuseImport("the zip archive has no end: it is cut off");
}

function readEntry(directory: Reader) {
  if (directory.u32() !== 0x02014b50) refuseImport("the zip archive is broken");
  directory.take(4);
  const flags = directory.u16();
  const method = directory.u16();
  directory.take(8);
  const packed = directory.u32();
  const size = directory.u32();
  const nameBytes = directory.u16();
  const rest = directory.u16() + directory.u16();
  directory.take(8);
  const at = directory.u32();
  const name = new TextDecoder().decode(directory.take(nameBytes));
  directory.take(rest);
  if (flags & 1) refuseImport("the zip archive is encrypted");
  if (packed !== size) refuseImport(`the zip archive's file ${name} is packed`);
  return { name, size, at, method };
}
