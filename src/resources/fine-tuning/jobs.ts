/**
 * Fine-tuning jobs, passed through to who tunes: the gateway's files are brought there once, and a
 * job belongs to whoever began it. Source: https://platform.openai.com/docs/api-reference/fine-tuning
 */
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import { recordTool } from "../../pipeline/tool-receipt.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import { optionalText, requiredText } from "../fields.ts";
import type { Files } from "../files/files.ts";
import { getOwn, readPageQuery } from "../listing.ts";
import { askTarget, findTarget, type TuningTarget } from "./target.ts";
import { isOpenaisOwn, trainingCostOf } from "./training-cost.ts";

export type JobAction = "cancel" | "pause" | "resume";
export type JobList = "events" | "checkpoints";

/** @throws GatewayError invalid_request, not_found, storage_failed, upstream_… from every method */
export interface FineTuning {
  create(body: JsonObject, query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  /** The caller's, each as it was last seen; those under way are asked for. */
  list(query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  get(id: string, caller: Caller): Promise<JsonObject>;
  act(id: string, action: JobAction, caller: Caller): Promise<JsonObject>;
  /** Looks after jobs that nobody asks about, so that what they cost is written down. Says how many ended. */
  settle(): Promise<number>;
  /** The provider's page, as it is. */
  page(id: string, list: JobList, query: URLSearchParams, caller: Caller): Promise<JsonObject>;
}

export interface FineTuningParts {
  readonly records: RecordStore;
  readonly files: Files;
  readonly outbound: Outbound;
  readonly services: () => Services;
}

const kind = "fine-tuning-job";
/** Where a file of ours lies at a provider. */
const placeKind = "file-place";
const pages = { preset: 20, most: 100 } as const;
const fileFields = ["training_file", "validation_file"] as const;
const ended: ReadonlySet<unknown> = new Set(["succeeded", "failed", "cancelled"]);
const underWay = ["validating_files", "queued", "running", "pending", "paused", "notRunning"];
/** Of each of these, in one round. */
const settleLimit = 100;
/** Of a body that names no more than files and settings. */
const idChars = 256;

export function createFineTuning(parts: FineTuningParts): FineTuning {
  const { records, outbound, services } = parts;

  const targetOf = ({ value }: StoredRecord): TuningTarget => {
    const model = typeof value["group"] === "string" ? value["group"] : undefined;
    const provider = model === undefined ? String(value["provider"]) : undefined;
    const target = findTarget({ provider, model }, services());
    if (target.id === value["target"]) return target;
    const message = "This job was begun at an address that is configured no more.";
    throw new GatewayError("invalid_request", message);
  };

  /** What the provider says of it now, kept; once it has ended, charged, by the first who sees it. */
  async function keep(record: StoredRecord, job: JsonObject): Promise<JsonObject> {
    const status = String(job["status"] ?? "");
    const hasEnded = ended.has(status);
    const cost = hasEnded
      ? trainingCostOf(job, record.value, services().config.finetune)
      : undefined;
    const seer = crypto.randomUUID();
    const kept = await records.update(kind, record.id, ({ value }) => ({
      value: {
        ...value,
        job,
        ...(hasEnded && value["charged_by"] === undefined
          ? { charged_by: seer, cost_micro_usd: cost ?? null }
          : {}),
      },
      tag: status,
    }));
    if (kept?.value["charged_by"] === seer) writeDown(kept, job, cost);
    return toShown(job, kept?.value ?? record.value);
  }

  function writeDown({ id, owner, value }: StoredRecord, job: JsonObject, cost?: number): void {
    const { telemetry, clock } = services();
    const [model, provider] = [String(job["model"]), String(value["provider"])];
    if (cost === undefined) {
      const remedy = `write finetune_settings: training_cost_per_token: {${model}: USD}`;
      const told = { job: id, model, provider, trained_tokens: job["trained_tokens"] ?? null };
      telemetry.log("warn", "a training was not charged: its price is not known", {
        ...told,
        remedy,
      });
    }
    const succeeded = job["status"] === "succeeded";
    recordTool(
      {
        callId: Bun.randomUUIDv7(),
        requestId: id,
        caller: { id: owner, tenant: String(value["tenant"] ?? "default"), admin: false },
        operation: "fine_tuning",
        ...{ name: model, provider, startedAtMs: clock.now() },
        outcome: succeeded ? "success" : job["status"] === "cancelled" ? "cancelled" : "failure",
        ...(succeeded ? {} : { error: `training_${String(job["status"])}` }),
        ...(cost === undefined ? {} : { costMicroUsd: cost }),
      },
      services(),
    );
  }

  const look = async (record: StoredRecord): Promise<JsonObject> =>
    keep(
      record,
      await askTarget(targetOf(record), { method: "GET", path: pathOf(record) }, outbound),
    );

  return {
    async create(body, query, caller) {
      const asked = optionalText(body, "custom_llm_provider", 64);
      const provider = asked ?? query.get("custom_llm_provider") ?? undefined;
      const model = requiredText(body, "model", idChars);
      const target = findTarget({ provider, model }, services());
      const files: Record<string, string> = {};
      const sent: Record<string, Json | undefined> = { ...body, model: target.model ?? model };
      delete sent["custom_llm_provider"];
      for (const field of fileFields) {
        const id = optionalText(body, field, idChars);
        if (id === undefined) continue;
        const there = await bring(id, target, caller, parts);
        files[there] = id;
        sent[field] = there;
      }
      const call = { method: "POST", path: "/fine_tuning/jobs", json: sent as JsonObject } as const;
      const job = await askTarget(target, call, outbound);
      await records.put({
        kind,
        id: String(job["id"]),
        owner: caller.id,
        tag: String(job["status"] ?? ""),
        value: {
          provider: target.provider,
          target: target.id,
          tenant: caller.tenant,
          at_home: isOpenaisOwn(target.baseUrl),
          files,
          job,
          // A model's own deployment is found again by its group.
          ...(target.model === undefined ? {} : { group: model }),
        },
      });
      return toShown(job, { files });
    },
    async list(query, caller) {
      const owner = caller.admin ? {} : { owner: caller.id };
      const page = await records.list({ kind, ...owner, ...readPageQuery(query, pages) });
      const data = await Promise.all(
        page.records.map((record) => {
          const seen = toShown((record.value["job"] ?? {}) as JsonObject, record.value);
          // One that cannot be asked just now is shown as it was.
          return ended.has(record.tag) ? seen : look(record).catch(() => seen);
        }),
      );
      return { object: "list", data, has_more: page.hasMore };
    },
    get: async (id, caller) => look(await getOwn(records, kind, id, caller)),
    async act(id, action, caller) {
      const record = await getOwn(records, kind, id, caller);
      const path = `${pathOf(record)}/${action}`;
      return keep(record, await askTarget(targetOf(record), { method: "POST", path }, outbound));
    },
    async settle() {
      let count = 0;
      for (const tag of underWay) {
        const { records: open } = await records.list({ kind, tag, limit: settleLimit });
        for (const record of open) {
          const job = await look(record).catch(() => undefined); // asked again in the next round
          if (ended.has(job?.["status"])) count += 1;
        }
      }
      return count;
    },
    async page(id, list, query, caller) {
      const record = await getOwn(records, kind, id, caller);
      const path = `${pathOf(record)}/${list}`;
      return askTarget(targetOf(record), { method: "GET", path, query }, outbound);
    },
  };
}

const pathOf = ({ id }: StoredRecord) => `/fine_tuning/jobs/${encodeURIComponent(id)}`;

/** The job with our files' ids for the provider's; ended, with what it cost (null: nobody knows). */
function toShown(job: JsonObject, { files, cost_micro_usd: cost }: JsonObject): JsonObject {
  const ours = (files ?? {}) as JsonObject;
  const mapped = fileFields
    .filter((field) => typeof job[field] === "string")
    .map((field) => [field, ours[String(job[field])] ?? job[field]]);
  const usd = typeof cost === "number" ? cost / 1e6 : null;
  const told = cost === undefined ? {} : { training_cost_usd: usd };
  return { ...job, ...Object.fromEntries(mapped), ...told };
}

/** The provider's id of one of our files, which goes there the first time. */
async function bring(
  id: string,
  target: TuningTarget,
  caller: Caller,
  { files, records, outbound }: FineTuningParts,
): Promise<string> {
  await files.get(id, caller); // whose it is comes first
  const place = `${target.id}/${id}`;
  const held = await records.get(placeKind, place);
  if (held) return String(held.value["id"]);
  const { file, blob } = await files.open(id, caller);
  const form = toForm(String(file["filename"]), String(file["purpose"]), blob.content);
  const call = { method: "POST", path: "/files", form } as const;
  const there = await askTarget(target, call, outbound);
  await records.put({
    kind: placeKind,
    id: place,
    owner: caller.id,
    value: { id: there["id"] ?? "" },
  });
  return String(there["id"]);
}

/** RFC 7578, streamed: a file of training is not held whole. */
function toForm(filename: string, purpose: string, content: AsyncIterable<Uint8Array>) {
  const boundary = `routeiq-${crypto.randomUUID()}`;
  const name = filename.replaceAll(/["\r\n\\]/g, "_");
  const part = (head: string) =>
    new TextEncoder().encode(`--${boundary}\r\nContent-Disposition: form-data; ${head}`);
  async function* pieces() {
    yield part(`name="purpose"\r\n\r\n${purpose}\r\n`);
    yield part(`name="file"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`);
    yield* content;
    yield new TextEncoder().encode(`\r\n--${boundary}--\r\n`);
  }
  const all = pieces();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await all.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await all.return(undefined);
    },
  });
  return { boundary, body };
}
