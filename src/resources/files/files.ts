/**
 * Files of the OpenAI API, kept by the gateway: streamed to where contents rest, with their facts in
 * a record. Callers see their own. Source: https://platform.openai.com/docs/api-reference/files
 */
import type { Caller } from "../../domain/call.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import type { BlobStore, ByteRange, OpenBlob } from "../../storage/blob-store.ts";
import type { FileLimits } from "../../storage/file-limits.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import { getOwn, noSuch, type PageLimits, readPageQuery, toListReply } from "../listing.ts";

/** What may be uploaded; `batch_output` and its kin are made by the gateway. */
export const uploadPurposes = [
  "assistants",
  "batch",
  "fine-tune",
  "vision",
  "user_data",
  "evals",
] as const;

export interface NewFile {
  readonly caller: Caller;
  readonly filename: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** Asked once the content has come: a form may tell it after its file. */
  readonly told: () => { readonly purpose: string; readonly expiresAfterS?: number };
  readonly signal?: AbortSignal;
}

export interface Files {
  /** @throws GatewayError invalid_request, body_too_large, storage_failed; what the content throws */
  create(file: NewFile): Promise<JsonObject>;
  get(id: string, caller: Caller): Promise<JsonObject>;
  list(query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  /** The file's facts and its bytes. */
  open(
    id: string,
    caller: Caller,
    range?: ByteRange,
  ): Promise<{ readonly file: JsonObject; readonly blob: OpenBlob }>;
  remove(id: string, caller: Caller): Promise<JsonObject>;
  /** Removes what has expired and what a crash left half written. Says how many. */
  sweep(): Promise<number>;
}

export interface FilesOptions {
  readonly records: RecordStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly limits: () => FileLimits;
}

export const fileKind = "file";
const usageKind = "file-usage";
const pageLimits: PageLimits = { preset: 1_000, most: 1_000 };
const listMost: PageLimits = { preset: 10_000, most: 10_000 };
/** An upload that has not ended after so long never will. */
const uploadMs = 86_400_000;
const expiryS = { least: 3_600, most: 2_592_000 } as const;

export function createFiles(options: FilesOptions): Files {
  const { records, blobs, clock, limits } = options;

  async function findReady(id: string, caller: Caller): Promise<StoredRecord> {
    const record = await getOwn(records, fileKind, id, caller);
    if (record.tag === "uploading" || hasEnded(record, clock)) throw noSuch(fileKind, id);
    return record;
  }

  async function assertRoom({ id }: Caller): Promise<number> {
    const { maxFiles, maxTotalBytes, maxFileBytes } = limits();
    const usage = await records.get(usageKind, id);
    const used = Number(usage?.value["bytes"] ?? 0);
    if (used >= maxTotalBytes) throw full(`${maxTotalBytes} bytes`);
    if ((await records.count({ kind: fileKind, owner: id })) >= maxFiles) {
      throw full(`${maxFiles} files`);
    }
    return Math.min(maxFileBytes, maxTotalBytes - used);
  }

  /** Exact but for a crash in between: then the file counts a little more, or less, for good. */
  async function count(owner: string, bytes: number): Promise<void> {
    await records.put(
      { kind: usageKind, id: owner, owner, value: { bytes: 0 } },
      { ifAbsent: true },
    );
    await records.update(usageKind, owner, ({ value }) => ({
      value: { bytes: Math.max(0, Number(value["bytes"] ?? 0) + bytes) },
    }));
  }

  async function drop(record: StoredRecord): Promise<void> {
    await blobs.remove(record.id);
    if (!(await records.remove(fileKind, record.id))) return;
    if (record.tag !== "uploading") await count(record.owner, -Number(record.value["bytes"] ?? 0));
  }

  return {
    async create(file) {
      const { caller, content, signal } = file;
      const maxBytes = await assertRoom(caller);
      const id = `file-${crypto.randomUUID().replaceAll("-", "")}`;
      const filename = readName(file.filename);
      // The record comes first, so that a crash leaves nothing that nobody knows of.
      const draft = { kind: fileKind, id, owner: caller.id, tag: "uploading" };
      const started = await records.put({ ...draft, value: { filename } });
      try {
        const { sizeBytes, sha256 } = await blobs.put(id, content, {
          maxBytes,
          ...(signal ? { signal } : {}),
        });
        const { purpose, expiresAfterS } = file.told();
        const expiresAt =
          expiresAfterS === undefined
            ? undefined
            : Math.floor(started.createdMs / 1000) + expiresAfterS;
        const value = {
          filename,
          purpose,
          bytes: sizeBytes,
          sha256,
          ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
        };
        const parent = expiresAt === undefined ? "" : "expires";
        const done = await records.put({ ...draft, tag: purpose, parent, value });
        await count(caller.id, sizeBytes);
        return toFileObject(done);
      } catch (thrown) {
        await drop(started);
        throw thrown;
      }
    },
    get: async (id, caller) => toFileObject(await findReady(id, caller)),
    async list(query, caller) {
      const purpose = query.get("purpose") ?? undefined;
      const page = readPageQuery(query, query.has("limit") ? listMost : pageLimits);
      const found = await records.list({
        kind: fileKind,
        ...(caller.admin ? {} : { owner: caller.id }),
        ...(purpose === undefined ? {} : { tag: purpose }),
        ...page,
      });
      const ready = found.records.filter(
        (each) => each.tag !== "uploading" && !hasEnded(each, clock),
      );
      return toListReply({ ...found, records: ready }, toFileObject);
    },
    async open(id, caller, range) {
      const record = await findReady(id, caller);
      const blob = await blobs.open(id, range);
      if (!blob) throw new GatewayError("storage_failed", `The content of '${id}' is gone.`);
      return { file: toFileObject(record), blob };
    },
    async remove(id, caller) {
      await drop(await findReady(id, caller));
      return { id, object: "file", deleted: true };
    },
    async sweep() {
      const ended = await all(records, { parent: "expires" }, (each) => hasEnded(each, clock));
      const broken = await all(
        records,
        { tag: "uploading" },
        ({ createdMs }) => clock.now() - createdMs > uploadMs,
      );
      for (const record of [...ended, ...broken]) await drop(record);
      return ended.length + broken.length;
    },
  };
}

async function all(
  records: RecordStore,
  by: { readonly parent?: string; readonly tag?: string },
  wanted: (record: StoredRecord) => boolean,
): Promise<readonly StoredRecord[]> {
  const found: StoredRecord[] = [];
  for (let after: string | undefined; ; ) {
    const cursor = after === undefined ? {} : { after };
    const page = await records.list({
      kind: fileKind,
      ...by,
      ...cursor,
      order: "asc",
      limit: 1000,
    });
    found.push(...page.records.filter(wanted));
    after = page.records.at(-1)?.id;
    if (!page.hasMore || after === undefined) return found;
  }
}

function hasEnded({ value }: StoredRecord, clock: Clock): boolean {
  const end = value["expires_at"];
  return typeof end === "number" && end * 1000 <= clock.now();
}

export function toFileObject({ id, createdMs, value }: StoredRecord): JsonObject {
  const { filename = "", purpose = "", bytes = 0, expires_at } = value;
  return {
    id,
    object: "file",
    bytes,
    created_at: Math.floor(createdMs / 1000),
    ...(expires_at === undefined ? {} : { expires_at }),
    filename,
    purpose,
    status: "processed",
  };
}

/** @throws GatewayError invalid_request */
export function readPurpose(text: string | undefined): string {
  if (text !== undefined && (uploadPurposes as readonly string[]).includes(text)) return text;
  const given = text === undefined ? "is missing" : `cannot be '${excerpt(text)}'`;
  throw invalid("purpose", `'purpose' ${given}: one of ${uploadPurposes.join(", ")}.`);
}

/** `expires_after[anchor]`, `expires_after[seconds]`. @throws GatewayError invalid_request */
export function readExpiry(
  anchor: string | undefined,
  seconds: string | undefined,
): number | undefined {
  if (anchor === undefined && seconds === undefined) return undefined;
  if (anchor !== undefined && anchor !== "created_at") {
    throw invalid("expires_after", "'expires_after[anchor]' can only be 'created_at'.");
  }
  const value = Number(seconds);
  if (seconds !== undefined && Number.isInteger(value)) {
    if (value >= expiryS.least && value <= expiryS.most) return value;
  }
  const message = `'expires_after[seconds]' must be a whole number from ${expiryS.least} to ${expiryS.most}.`;
  throw invalid("expires_after", message);
}

const nameLimit = 255;

/** A name to show, never a path. */
function readName(text: string): string {
  const name = text.split(/[\\/]/).at(-1)?.trim() ?? "";
  const plain = [...name].filter((char) => char >= " " && char !== "\x7f").join("");
  return plain === "" ? "file" : plain.slice(0, nameLimit);
}

function full(limit: string): GatewayError {
  const message = `You keep ${limit} already, which is the limit. Delete some (DELETE /v1/files/{id}).`;
  return new GatewayError("invalid_request", message);
}

function invalid(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, { param });
}
