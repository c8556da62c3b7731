/**
 * Uploads of the OpenAI API: a large file in parts, which become one file when all are there.
 * Source: https://platform.openai.com/docs/api-reference/uploads
 */
import { createHash } from "node:crypto";
import type { Caller } from "../../domain/call.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import type { BlobStore } from "../../storage/blob-store.ts";
import type { FileLimits } from "../../storage/file-limits.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import { invalid, optionalObject, optionalText, requiredText } from "../fields.ts";
import { type Files, readExpiry, readPurpose } from "../files/files.ts";
import { getOwn } from "../listing.ts";

export const uploadLimits = {
  /** As OpenAI has it. */
  partBytes: 64 * 1024 ** 2,
  parts: 10_000,
  /** Begun and not ended, of one caller. */
  open: 100,
  /** What is not completed by then never will be. */
  lifeMs: 3_600_000,
} as const;

/** @throws GatewayError invalid_request, not_found, body_too_large, storage_failed from every method */
export interface Uploads {
  create(body: JsonObject, caller: Caller): Promise<JsonObject>;
  addPart(id: string, part: NewPart): Promise<JsonObject>;
  /** The file, of the parts in the order that is named. */
  complete(id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  cancel(id: string, caller: Caller): Promise<JsonObject>;
  /** Removes the parts of those whose time has passed. Says how many uploads. */
  sweep(): Promise<number>;
}

export interface NewPart {
  readonly caller: Caller;
  readonly content: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

export interface UploadsOptions {
  readonly records: RecordStore;
  readonly blobs: BlobStore;
  readonly files: Files;
  readonly clock: Clock;
  readonly limits: () => FileLimits;
}

const kind = "upload";
const partKind = "upload-part";
type State = "pending" | "completing" | "completed" | "cancelled";

const newId = (prefix: string) => `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;

export function createUploads({ records, blobs, files, clock, limits }: UploadsOptions): Uploads {
  const hasEnded = ({ createdMs }: StoredRecord) => clock.now() - createdMs >= uploadLimits.lifeMs;

  async function getOpen(id: string, caller: Caller): Promise<StoredRecord> {
    const record = await getOwn(records, kind, id, caller);
    const state = hasEnded(record) && record.tag === "pending" ? "expired" : record.tag;
    if (state === "pending") return record;
    throw new GatewayError("invalid_request", `The upload '${excerpt(id)}' is ${state}.`);
  }

  async function partsOf(id: string): Promise<readonly StoredRecord[]> {
    const found: StoredRecord[] = [];
    for (let after: string | undefined; ; ) {
      const cursor = after === undefined ? {} : { after };
      const query = { kind: partKind, parent: id, order: "asc", limit: 1_000, ...cursor } as const;
      const page = await records.list(query);
      found.push(...page.records);
      after = page.records.at(-1)?.id;
      if (!page.hasMore || after === undefined) return found;
    }
  }

  async function dropParts(id: string): Promise<void> {
    for (const part of await partsOf(id)) {
      await blobs.remove(part.id);
      await records.remove(partKind, part.id);
    }
  }

  /** Of two who end an upload, one does. */
  async function move(record: StoredRecord, to: State, more: JsonObject = {}) {
    const { id, owner, value, version } = record;
    const next = { kind, id, owner, tag: to, value: { ...value, ...more } };
    const moved = await records.put(next, { ifVersion: version });
    if (moved) return moved;
    throw new GatewayError(
      "invalid_request",
      `The upload '${excerpt(id)}' is being ended already.`,
    );
  }

  return {
    async create(body, caller) {
      const value = readUpload(body, limits());
      const open = await records.count({ kind, owner: caller.id, tag: "pending" });
      if (open >= uploadLimits.open) {
        const message = `${open} uploads are under way, which is the limit. Complete or cancel some.`;
        throw new GatewayError("invalid_request", message);
      }
      const draft = { kind, id: newId("upload"), owner: caller.id, tag: "pending" };
      return toUpload(await records.put({ ...draft, value }));
    },
    async addPart(id, { caller, content, signal }) {
      const upload = await getOpen(id, caller);
      const held = await partsOf(id);
      if (held.length >= uploadLimits.parts) {
        throw new GatewayError(
          "invalid_request",
          `An upload has ${uploadLimits.parts} parts at most.`,
        );
      }
      // A part may be sent again in another's place, so somewhat more than the file may come.
      const sent = held.reduce((sum, { value }) => sum + Number(value["bytes"] ?? 0), 0);
      const room = Number(upload.value["bytes"]) + uploadLimits.partBytes - sent;
      const maxBytes = Math.max(0, Math.min(uploadLimits.partBytes, room));
      // The record comes first, so that a crash leaves nothing that nobody knows of.
      const draft = { kind: partKind, id: newId("part"), owner: upload.owner, parent: id };
      const begun = await records.put({ ...draft, tag: "coming", value: { bytes: 0 } });
      try {
        const how = { maxBytes, ...(signal ? { signal } : {}) };
        const { sizeBytes } = await blobs.put(begun.id, content, how);
        return toPart(await records.put({ ...draft, tag: "there", value: { bytes: sizeBytes } }));
      } catch (thrown) {
        await blobs.remove(begun.id);
        await records.remove(partKind, begun.id);
        throw thrown;
      }
    },
    async complete(id, body, caller) {
      const upload = await getOpen(id, caller);
      const parts = readParts(body, await partsOf(id));
      const md5 = optionalText(body, "md5", 64)?.toLowerCase();
      const size = parts.reduce((sum, { value }) => sum + Number(value["bytes"] ?? 0), 0);
      const told = Number(upload.value["bytes"]);
      if (size !== told) {
        throw invalid(
          "part_ids",
          `name parts of ${size} bytes, and the upload was to have ${told}`,
        );
      }
      const completing = await move(upload, "completing");
      try {
        const file = await files.create({
          caller: { ...caller, id: upload.owner },
          filename: String(upload.value["filename"]),
          content: joined(parts, blobs, md5),
          told: () => ({
            purpose: String(upload.value["purpose"]),
            ...(upload.value["expires_after_s"] === undefined
              ? {}
              : { expiresAfterS: Number(upload.value["expires_after_s"]) }),
          }),
        });
        const done = await move(completing, "completed", { file });
        await dropParts(id);
        return toUpload(done);
      } catch (thrown) {
        // It can be tried again; the first failure is the one to tell.
        await move(completing, "pending").catch(() => undefined);
        throw thrown;
      }
    },
    async cancel(id, caller) {
      const cancelled = await move(await getOpen(id, caller), "cancelled");
      await dropParts(id);
      return toUpload(cancelled);
    },
    async sweep() {
      let swept = 0;
      for (const tag of ["pending", "completing"]) {
        const { records: open } = await records.list({ kind, tag, order: "asc", limit: 1_000 });
        for (const upload of open.filter(hasEnded)) {
          await dropParts(upload.id);
          await records.put({ ...upload, tag: "expired" }, { ifVersion: upload.version });
          swept++;
        }
      }
      return swept;
    },
  };
}

function readUpload(body: JsonObject, { maxFileBytes }: FileLimits): JsonObject {
  const { bytes } = body;
  if (typeof bytes !== "number" || !Number.isInteger(bytes) || bytes < 1 || bytes > maxFileBytes) {
    throw invalid("bytes", `must be a whole number from 1 to ${maxFileBytes}`);
  }
  const expiry = optionalObject(body, "expires_after");
  const anchor = expiry && String(expiry["anchor"]);
  const seconds = expiry && String(expiry["seconds"]);
  const expiresAfterS = readExpiry(anchor, seconds);
  return {
    bytes,
    filename: requiredText(body, "filename", 512),
    purpose: readPurpose(optionalText(body, "purpose", 64)),
    mime_type: requiredText(body, "mime_type", 256),
    ...(expiresAfterS === undefined ? {} : { expires_after_s: expiresAfterS }),
  };
}

function readParts(body: JsonObject, held: readonly StoredRecord[]): readonly StoredRecord[] {
  const { part_ids: ids } = body;
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > uploadLimits.parts) {
    throw invalid("part_ids", `must be a list of 1 to ${uploadLimits.parts} ids of parts`);
  }
  if (new Set(ids).size < ids.length) throw invalid("part_ids", "names a part twice");
  const known = new Map(held.filter(({ tag }) => tag === "there").map((part) => [part.id, part]));
  return ids.map((id) => {
    const part = known.get(String(id));
    if (part) return part;
    throw invalid("part_ids", `names '${excerpt(String(id))}', which is no part of this upload`);
  });
}

/** The parts' bytes, one after the other. @throws GatewayError invalid_request where the hash is another */
async function* joined(
  parts: readonly StoredRecord[],
  blobs: BlobStore,
  md5: string | undefined,
): AsyncGenerator<Uint8Array> {
  const hash = md5 === undefined ? undefined : createHash("md5");
  for (const { id } of parts) {
    const blob = await blobs.open(id);
    if (!blob) throw new GatewayError("storage_failed", `The content of the part '${id}' is gone.`);
    for await (const piece of blob.content) {
      hash?.update(piece);
      yield piece;
    }
  }
  const found = hash?.digest("hex");
  if (found !== md5) throw invalid("md5", `is not that of the parts, which is ${found}`);
}

function toUpload({ id, createdMs, tag, value }: StoredRecord): JsonObject {
  const createdAt = Math.floor(createdMs / 1000);
  return {
    id,
    object: "upload",
    bytes: value["bytes"] ?? 0,
    created_at: createdAt,
    expires_at: createdAt + uploadLimits.lifeMs / 1000,
    filename: value["filename"] ?? "",
    purpose: value["purpose"] ?? "",
    status: tag,
    ...(value["file"] === undefined ? {} : { file: value["file"] }),
  };
}

const toPart = ({ id, createdMs, parent }: StoredRecord): JsonObject => ({
  id,
  object: "upload.part",
  created_at: Math.floor(createdMs / 1000),
  upload_id: parent,
});
