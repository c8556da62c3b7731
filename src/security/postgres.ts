/**
 * The guarded way to PostgreSQL: the address is resolved and checked as every other, and the
 * connection goes to the address that was checked; its certificate is checked against the name. The
 * protocol is the runtime's (https://bun.com/docs/api/sql).
 */
import { SQL } from "bun";
import { excerpt, GatewayError } from "../domain/errors.ts";
import { type Resolve, systemResolve } from "./resolve.ts";
import { checkFound } from "./routes.ts";
import { checkUrl } from "./ssrf.ts";

export type SqlValue = string | number | boolean | null;
export type SqlRow = Readonly<Record<string, unknown>>;

export interface SqlRunner {
  /** One statement, its values as `$1`, `$2` … @throws GatewayError storage_failed */
  run(sql: string, values?: readonly SqlValue[]): Promise<readonly SqlRow[]>;
}

export interface Postgres extends SqlRunner {
  /** All of the work or nothing of it. @throws GatewayError storage_failed; what the work throws */
  begin<T>(work: (tx: SqlRunner) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface PostgresOptions {
  /** `postgres://user:password@host:5432/database?sslmode=…`; the operator's. */
  readonly url: string;
  readonly resolve?: Resolve;
  /** Connections at most. */
  readonly connections: number;
}

const connectS = 10;
const idleS = 60;
/** What stands in no certificate: a connection that never leaves this machine. */
const plainHost = /^(localhost|127(\.\d+){3}|::1)$/;

/**
 * TLS with a certificate that is checked, unless `sslmode` is `disable`, or `require` or `prefer`
 * (encrypted, unchecked), as libpq has it; plain by default on loopback alone.
 * @throws GatewayError config_invalid where the address is none
 */
export function createPostgres({
  url,
  resolve = systemResolve,
  connections,
}: PostgresOptions): Postgres {
  const parts = parsePostgresUrl(url);
  let open: Promise<SQL> | undefined;

  async function connect(): Promise<SQL> {
    const { host } = parts;
    const allow = { ranges: [], hosts: [] };
    const target = checkUrl(
      `http://${host.includes(":") ? `[${host}]` : host}/`,
      "operator",
      allow,
    );
    const found = target.address ? [target.host] : await resolve(target.host);
    const [address] = checkFound(found, { host, trust: "operator", allow });
    return new SQL({
      adapter: "postgres",
      hostname: address ?? host,
      port: parts.port,
      username: parts.user,
      password: parts.password,
      database: parts.database,
      tls: tlsOf(parts),
      max: connections,
      connectionTimeout: connectS,
      idleTimeout: idleS,
    });
  }

  /** A server may have moved: after a failure of the connection it is looked for anew. */
  async function ask<T>(work: (sql: SQL) => Promise<T>): Promise<T> {
    open ??= connect();
    const mine = open;
    try {
      return await work(await mine);
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause;
      if (isLost(cause) && open === mine) {
        open = undefined;
        mine.then((sql) => sql.close()).catch(() => undefined); // it is gone already
      }
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new GatewayError("storage_failed", `PostgreSQL failed: ${excerpt(why)}`, { cause });
    }
  }

  const runnerOf = (sql: Pick<SQL, "unsafe">): SqlRunner => ({
    run: async (text, values = []) => [...(await sql.unsafe(text, [...values]))] as SqlRow[],
  });

  return {
    run: (text, values) => ask((sql) => runnerOf(sql).run(text, values)),
    begin: (work) => ask((sql) => sql.begin((tx) => work(runnerOf(tx)))),
    async close() {
      const held = open;
      open = undefined;
      if (held) await (await held.catch(() => undefined))?.close({ timeout: 1 });
    },
  };
}

const isLost = (cause: unknown): boolean =>
  cause instanceof Error &&
  /^ERR_POSTGRES_(CONNECTION|IDLE|LIFETIME|FAILED_TO_OPEN|TLS)|^E[A-Z]+$/.test(
    String((cause as { code?: unknown }).code ?? ""),
  );

interface PostgresParts {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly sslMode: string | null;
}

/** @throws GatewayError config_invalid; its message holds nothing of the address, which has a password */
export function parsePostgresUrl(url: string): PostgresParts {
  const parsed = URL.parse(url);
  if (!parsed || !/^postgres(ql)?:$/.test(parsed.protocol) || parsed.hostname === "") {
    const message =
      "The address of a PostgreSQL is of the form postgres://user:password@host:5432/database.";
    throw new GatewayError("config_invalid", message);
  }
  const user = decodeURIComponent(parsed.username) || "postgres";
  return {
    host: parsed.hostname.replaceAll(/[[\]]/g, ""),
    port: Number(parsed.port || 5432),
    user,
    password: decodeURIComponent(parsed.password),
    database: decodeURIComponent(parsed.pathname.slice(1)) || user,
    sslMode: parsed.searchParams.get("sslmode"),
  };
}

function tlsOf({ host, sslMode }: PostgresParts) {
  if (sslMode === "disable" || (sslMode === null && plainHost.test(host))) return false;
  const unchecked = sslMode === "require" || sslMode === "prefer" || sslMode === "allow";
  return { serverName: host, rejectUnauthorized: !unchecked };
}
