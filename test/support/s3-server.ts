/** A real S3 server for tests: s3rver from npm, run by Node on a free port. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  /** What a client needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const program = `
const S3rver = require(process.argv[1]);
const server = new S3rver({
  port: 0, address: "127.0.0.1", silent: true, directory: process.argv[2],
  configureBuckets: [{ name: "models" }],
});
server.run().then(({ port }) => console.log("port " + port));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
`;

/** Why there is none, or undefined where one can be started. */
export const missingS3Server: string | undefined = Bun.which("node")
  ? (() => {
      try {
        Bun.resolveSync("s3rver", import.meta.dir);
        return undefined;
      } catch {
        return "s3rver is not installed (npm ci)";
      }
    })()
  : "there is no node to run s3rver";

export async function startS3Server(): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), "routeiq-s3-"));
  const child = Bun.spawn(
    ["node", "-e", program, Bun.resolveSync("s3rver", import.meta.dir), folder],
    // It dies with its standard input, so a killed test leaves nothing behind.
    { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  );
  const reader = child.stdout.getReader();
  let said = "";
  while (!/port \d+\n/.test(said)) {
    const { done, value } = await reader.read();
    if (done) throw new Error("s3rver did not start");
    said += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  const endpoint = `http://127.0.0.1:${/port (\d+)/.exec(said)?.[1]}`;
  return {
    endpoint,
    bucket: "models",
    env: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_ACCESS_KEY_ID: "S3RVER",
      AWS_SECRET_ACCESS_KEY: "S3RVER",
      AWS_REGION: "us-east-1",
    },
    async stop() {
      child.stdin.end();
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
