/**
 * What authorization servers granted the gateway for MCP servers: the client that was registered, the
 * tokens, and authorizations that somebody is in the middle of. Sealed at rest, and good only for the
 * address that they were granted for.
 */

import type { JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import { sha256Hex } from "../../../security/hashing.ts";
import type { RecordStore } from "../../../storage/record-store.ts";
import type { OAuthClientInformationMixed, OAuthDiscoveryState, OAuthTokens } from "../sdk.ts";

export interface Grant {
  /** The server's address when it was granted. */
  readonly url: string;
  readonly client?: OAuthClientInformationMixed;
  readonly tokens?: OAuthTokens;
  readonly tokensAtMs?: number;
  /** What the server asked for beyond what was granted. */
  readonly wantedScope?: string;
}

/** Between the way to the authorization server and the way back. */
export interface Pending {
  readonly server: string;
  readonly url: string;
  /** The caller whose grant it becomes; "": everybody's. */
  readonly owner: string;
  readonly verifier: string;
  readonly redirectUrl: string;
  readonly discovery?: OAuthDiscoveryState;
  /** What was asked for. */
  readonly scope?: string;
}

export interface Grants {
  read(server: McpServer, owner: string): Promise<Grant | undefined>;
  /** Others write meanwhile: `change` is asked again with what they wrote. */
  change(
    server: McpServer,
    owner: string,
    change: (grant: Grant) => Grant | undefined,
  ): Promise<void>;
  remove(server: string, owner: string): Promise<boolean>;
  removeAll(server: string): Promise<void>;
  /** One at a time for each server and owner: a new one ends the one before. */
  begin(state: string, pending: Pending): Promise<void>;
  /** Once. */
  take(state: string): Promise<Pending | undefined>;
}

export const pendingMs = 600_000;
const kind = "mcp-oauth";
const pendingKind = "mcp-oauth-pending";

export function createGrants(records: RecordStore, now: () => number): Grants {
  const idOf = (server: string, owner: string) => `${server}/${owner}`;
  const toGrant = (value: JsonObject, url: string) => {
    const grant = value as unknown as Grant;
    // A server that moved gets nothing that was meant for where it was.
    return grant.url === url ? grant : undefined;
  };
  return {
    async read({ name, url = "" }, owner) {
      const record = await records.get(kind, idOf(name, owner));
      return record && toGrant(record.value, url);
    },
    async change({ name, url = "" }, owner, change) {
      const id = idOf(name, owner);
      const first = change({ url });
      if (first) {
        const made = { kind, id, owner, parent: name, value: toValue(first) };
        if (await records.put(made, { ifAbsent: true })) return;
      }
      await records.update(kind, id, ({ value }) => {
        const changed = change(toGrant(value, url) ?? { url });
        return changed && { value: toValue(changed) };
      });
    },
    remove: (server, owner) => records.remove(kind, idOf(server, owner)),
    removeAll: async (server) => void (await records.removeAll(kind, server)),
    async begin(state, pending) {
      const parent = idOf(pending.server, pending.owner);
      await records.removeAll(pendingKind, parent);
      const expiresMs = now() + pendingMs;
      const value = toValue(pending);
      await records.put({ kind: pendingKind, id: sha256Hex(state), parent, expiresMs, value });
    },
    async take(state) {
      const id = sha256Hex(state);
      const record = await records.get(pendingKind, id);
      // Whoever removes it has it: a second one with the same state finds nothing.
      if (!record || !(await records.remove(pendingKind, id))) return undefined;
      return record.value as unknown as Pending;
    },
  };
}

const toValue = (value: Grant | Pending): JsonObject =>
  JSON.parse(JSON.stringify(value)) as JsonObject;
