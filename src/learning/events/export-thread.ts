/** The service `exports` of a thread of its own: the gateway's event log to where the operator wants it. */
import { createOutbound } from "../../security/outbound.ts";
import { systemClock } from "../../std/clock.ts";
import type { SegmentFormat } from "../../storage/segments/write-segment.ts";
import type { S3Settings } from "../artifacts/open-repository.ts";
import { followExport } from "./event-export.ts";

export interface ExportParams {
  /** The gateway's data folder. */
  readonly source: string;
  readonly to: string;
  readonly format: SegmentFormat;
  readonly intervalMs: number;
  /** Never logged: it may hold credentials. */
  readonly s3: S3Settings;
}

export interface ExportService {
  /** Begins, and goes on until the thread ends. */
  start(params: ExportParams): void;
}

type Log = (level: "info" | "warn" | "error", message: string) => void;

export function createExportThread(log: Log): ExportService {
  return {
    start({ source, to, format, intervalMs, s3 }) {
      const access = { outbound: createOutbound(), clock: systemClock, s3 };
      let failing = false;
      void followExport({ source, to, format }, access, {
        intervalMs,
        clock: systemClock,
        signal: new AbortController().signal, // the thread is ended from outside
        onExport({ lost }) {
          if (failing) log("info", `events are exported to ${to} again`);
          failing = false;
          if (lost > 0) {
            log("error", `${lost} calls left the event log before they were exported to ${to}`);
          }
        },
        onFailure(message) {
          failing = true;
          log("error", `events are not exported, and it is tried again: ${message}`);
        },
      });
    },
  };
}
