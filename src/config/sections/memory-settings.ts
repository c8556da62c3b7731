/** Of `routeiq_settings`, the limits of APIs that remember: responses, files, batches. */
import { Type } from "@sinclair/typebox";
import { defaultFileLimits } from "../../storage/file-limits.ts";
import { defaultResponseLimits } from "../../storage/response-store.ts";

export const ResponseSettings = Type.Object(
  {
    max_rows: Type.Integer({
      default: defaultResponseLimits.maxRows,
      minimum: 1,
      description: "Responses that are kept.",
    }),
    max_age_days: Type.Number({
      default: defaultResponseLimits.maxAgeDays,
      exclusiveMinimum: 0,
      description: "Days that they are kept after they were last gone on from.",
    }),
    max_bytes: Type.Integer({
      default: defaultResponseLimits.maxBytes,
      minimum: 1_048_576,
      description: "Bytes that they may fill.",
    }),
    max_background: Type.Integer({
      default: 100,
      minimum: 1,
      maximum: 10_000,
      description: "Responses that may be under way in the background at once.",
    }),
  },
  {
    default: {},
    description:
      "The Responses API's memory, for models whose provider has none. The oldest go first.",
  },
);

export const FileSettings = Type.Object(
  {
    to: Type.Optional(
      Type.String({
        pattern: "^s3://[A-Za-z0-9]",
        expected: "s3://bucket/prefix",
        description:
          "Where contents rest: s3://bucket/prefix. Default: the data folder. Read at start; what was kept elsewhere is not moved.",
      }),
    ),
    max_file_bytes: Type.Integer({
      default: defaultFileLimits.maxFileBytes,
      minimum: 1,
      description: "Bytes of one file.",
    }),
    max_total_bytes: Type.Integer({
      default: defaultFileLimits.maxTotalBytes,
      minimum: 1,
      description: "Bytes of all files of one caller.",
    }),
    max_files: Type.Integer({
      default: defaultFileLimits.maxFiles,
      minimum: 1,
      description: "Files of one caller.",
    }),
  },
  { default: {}, description: "The Files API's memory." },
);

export const BatchSettings = Type.Object(
  {
    concurrency: Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 1_000,
      description: "Requests of one batch that are asked at once.",
    }),
    max_running: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 100,
      description: "Batches at work at once; the others wait.",
    }),
    max_requests: Type.Integer({
      default: 50_000,
      minimum: 1,
      maximum: 1_000_000,
      description: "Requests of one batch.",
    }),
    priority: Type.Integer({
      default: 1_000,
      description: "Their priority where calls wait for their turn; the higher, the later.",
    }),
    yield_above: Type.Integer({
      default: 64,
      minimum: 1,
      description: "Live calls in flight above which no request of a batch is begun.",
    }),
  },
  { default: {}, description: "Batches: many requests beside the live traffic." },
);
