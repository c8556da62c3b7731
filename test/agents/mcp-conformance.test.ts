/** The official conformance suite: through the gateway its fixture does as well as by itself. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "../support/mcp-fixture.ts";

const suite = join(
  import.meta.dir,
  "../../node_modules/@modelcontextprotocol/conformance/dist/index.js",
);
let fixture: HttpFixture;
let gateway: TestGateway;
const folder = mkdtempSync(join(tmpdir(), "routeiq-mcp-suite-"));
beforeAll(async () => {
  fixture = startMcpFixture();
  gateway = await startTestGateway({
    yaml: `mcp_servers: {fixture: {url: "${fixture.url}"}}`,
    outbound: createOutbound(),
  });
});
afterAll(async () => {
  await gateway.gateway.close();
  await fixture.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What it prints of every scenario: its checks that passed, failed and warned. */
async function score(url: string): Promise<Record<string, string>> {
  const child = Bun.spawn([process.execPath, suite, "server", "--url", url, "--suite", "all"], {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
  });
  const text = await new Response(child.stdout).text();
  await child.exited;
  const lines = [...text.matchAll(/^[✓✗] (\S+): (\d+ passed, \d+ failed.*)$/gm)];
  return Object.fromEntries(lines.map(([, name, result]) => [name, result?.trim() ?? ""]));
}

test("every server scenario passes through the gateway, as it does without", async () => {
  const through = await score(`${gateway.gateway.url}/mcp/fixture`);
  const direct = await score(fixture.url);
  expect(Object.keys(direct).length).toBeGreaterThan(25);
  expect(through).toEqual(direct);
  const failed = Object.entries(through).filter(([, result]) => !result.includes(" 0 failed"));
  expect(failed).toEqual([]);
});
