/** A running gateway for tests: a free port, no outside network, a configuration as text. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkConfig } from "../../src/config/check/check.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import { startGateway } from "../../src/gateway.ts";
import { createAllRoutes } from "../../src/http/all-routes.ts";
import { knownNames } from "../../src/routing/known-names.ts";
import type { Outbound } from "../../src/security/outbound.ts";
import {
  createWebSocketOutbound,
  type WebSocketOutbound,
} from "../../src/security/web-socket/open.ts";
import type { Clock } from "../../src/std/clock.ts";
import type { Random } from "../../src/std/random.ts";

export interface TestGateway {
  readonly gateway: Gateway;
  /** Removed on closing. */
  readonly dataDir: string;
  /** What the next reload reads. */
  setYaml(yaml: string): void;
  /** Lines of its log. */
  readonly log: readonly string[];
}

export interface TestGatewayOptions {
  readonly yaml: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly outbound?: Outbound;
  readonly webSockets?: WebSocketOutbound;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Default: a new one, removed on closing. */
  readonly dataDir?: string;
}

const nowhere: Outbound = { fetch: () => Promise.reject(new Error("the test calls nobody")) };

export async function startTestGateway(options: TestGatewayOptions): Promise<TestGateway> {
  let yaml = options.yaml;
  const env = options.env ?? {};
  const log: string[] = [];
  const load = async () => {
    const readText = () => Promise.resolve(yaml);
    return checkConfig(await loadConfig({ cwd: "/", env, readText }), { known: knownNames });
  };
  const { config, findings } = await load();
  if (!config) throw new Error(`the test's configuration is refused: ${JSON.stringify(findings)}`);
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "routeiq-gateway-"));
  const gateway = await startGateway({
    config,
    findings,
    load,
    env,
    dataDir,
    host: "127.0.0.1",
    port: 0,
    log: { write: (line) => log.push(line), format: "json" },
    outbound: options.outbound ?? nowhere,
    webSockets: options.webSockets ?? createWebSocketOutbound(),
    ...(options.clock ? { clock: options.clock } : {}),
    ...(options.random ? { random: options.random } : {}),
    slowRoutes: (inner) => Promise.resolve(createAllRoutes(inner)),
  });
  const close = async () => {
    await gateway.close();
    if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
  };
  return {
    gateway: { ...gateway, close },
    dataDir,
    log,
    setYaml(next) {
      yaml = next;
    },
  };
}
