/**
 * Clients and upstreams of other makers that only tests use, in a folder with a lock file of its own:
 * whoever runs or builds the gateway need not install them. `npm test` does; without them their tests
 * are skipped, and say so. See .ci/clients/package.json.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import {
  createSimulatedProviders,
  type SimulatedProviders,
} from "../../src/cli/demo/simulated-providers.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./gateway.ts";

export const clientsFolder = join(import.meta.dir, "..", "..", ".ci", "clients");
export const pythonFolder = join(clientsFolder, "python_modules");

export function hasClient(name: string): boolean {
  return existsSync(join(clientsFolder, "node_modules", name));
}

/** The title of a client's tests, with the reason where they are skipped. */
export function titleOf(title: string, ...names: readonly string[]): string {
  const absent = names.filter((name) => !hasClient(name));
  return absent.length === 0 ? title : `${title} (skipped: no ${absent.join(", ")})`;
}

/** A module by name; its types are the caller's to say, as `tsc` has to do without them. */
export async function loadClient<T>(name: string): Promise<T> {
  return (await import(Bun.resolveSync(name, clientsFolder))) as T;
}

export interface ClientWorld {
  readonly gateway: TestGateway;
  /** Without a path. */
  readonly url: string;
  readonly simulated: SimulatedProviders;
  close(): Promise<void>;
}

/** A gateway before the demo's providers: a model of each dialect, that calls tools when offered any. */
export async function createClientWorld(): Promise<ClientWorld> {
  const simulated = createSimulatedProviders({ speed: Number.POSITIVE_INFINITY });
  const gateway = await startTestGateway({
    yaml: stringify({ model_list: simulated.entries }),
    outbound: createOutbound(),
  });
  return {
    gateway,
    url: gateway.gateway.url.replace(/\/$/, ""),
    simulated,
    async close() {
      await gateway.gateway.close();
      await simulated.close();
    },
  };
}
