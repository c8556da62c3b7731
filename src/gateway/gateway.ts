/** The contract of a running gateway: what it is made of, and what it gives. */
import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/load.ts";
import type { ConfigReloader, ReloadCause, ReloadStatus, SyncStatus } from "../config/reload.ts";
import type { SlowRoutes } from "../http/route.ts";
import type { DriftAlarm } from "../learning/drift.ts";
import type { RolloutControl } from "../learning/rollout/control.ts";
import type { Experiments } from "../learning/rollout/experiments.ts";
import type { Services } from "../pipeline/services.ts";
import type { Responses } from "../resources/responses/responses.ts";
import type { ArtifactStatus, SwappableSlot } from "../routing/slot.ts";
import type { Outbound } from "../security/outbound.ts";
import type { WebSocketOutbound } from "../security/web-socket/open.ts";
import type { Clock } from "../std/clock.ts";
import type { Random } from "../std/random.ts";
import type { EventLog } from "../storage/event-log.ts";
import type { RecordStore } from "../storage/record-store.ts";
import type { GatewayTelemetry } from "../telemetry/create.ts";
import type { LogOptions } from "../telemetry/log.ts";
import type { MemoryApis } from "./memory-apis.ts";

export interface GatewayOptions {
  readonly config: Config;
  readonly findings: Loaded["findings"];
  /** Loads and checks the configuration anew, for a reload. */
  readonly load: () => Promise<Pick<Loaded, "config" | "findings">>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dataDir: string;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Several processes share the port. */
  readonly reusePort?: boolean;
  /** How many there are: each has its part of what exploration may cost. Default 1. */
  readonly processes?: number;
  /** Writes a line of the log, its end included. */
  readonly log: Omit<LogOptions, "clock">;
  readonly outbound: Outbound;
  /** How changes of the configuration are noticed; for those who ask. */
  readonly sync?: () => SyncStatus;
  /** Told after every reload, with who asked for it. */
  readonly onReload?: (status: ReloadStatus, cause: ReloadCause) => void;
  /** For realtime sessions; without it there are none. */
  readonly webSockets?: WebSocketOutbound;
  readonly slowRoutes: (gateway: Omit<Gateway, "url" | "port">) => Promise<SlowRoutes>;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  readonly services: () => Services;
  readonly responses: Responses;
  /** The APIs that keep things, and agents: loaded when one of them is asked for, or has work left. */
  readonly memory: () => Promise<MemoryApis>;
  readonly slot: SwappableSlot;
  readonly reloader: ConfigReloader;
  readonly sync: (() => SyncStatus) | undefined;
  readonly telemetry: GatewayTelemetry;
  /** Where APIs with memory keep their records; contents lie in the data folder. */
  readonly records: RecordStore;
  readonly events: EventLog;
  /** Only this machine reaches the port. */
  readonly onLoopback: boolean;
  /** Looks for a newer trained router at once; says how routing stands after it. */
  readonly reloadRouter: () => Promise<ArtifactStatus>;
  /** Alarms of drift that stand. */
  readonly drift: () => readonly DriftAlarm[];
  /** The releases on their way into force; undefined where no trained router is configured. */
  readonly rollout: () => RolloutControl | undefined;
  readonly experiments: Experiments;
  /** No new calls; resolves when the last one ended, or was ended after `drain_ms`. */
  drain(): Promise<void>;
  close(): Promise<void>;
}
