/** The official conformance suite: what passes on its fixture passes through the gateway as well. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "../support/mcp-fixture.ts";
import { createModernFixture } from "../support/mcp-modern-fixture.ts";
import { failuresOf, lostBetween, passesOf, runServerSuite } from "../support/mcp-suite.ts";

let fixture: HttpFixture;
let gateway: TestGateway;
beforeAll(async () => {
  fixture = startMcpFixture({ modern: createModernFixture() });
  gateway = await startTestGateway({
    yaml: `mcp_servers: {fixture: {url: "${fixture.url}"}}`,
    outbound: createOutbound(),
  });
});
afterAll(async () => {
  await gateway.gateway.close();
  await fixture.close();
});

// Revision, and how many checks the fixture itself must pass at least.
const revisions = [
  ["2025-11-25", 80],
  ["2026-07-28", 190],
] as const;

test.each(revisions)(
  "%s: nothing fails through the gateway that passes directly",
  async (...at) => {
    const [revision, least] = at;
    const direct = await runServerSuite(fixture.url, revision);
    expect(failuresOf(direct)).toEqual([]);
    expect(passesOf(direct)).toBeGreaterThanOrEqual(least);
    const through = await runServerSuite(`${gateway.gateway.url}/mcp/fixture`, revision);
    expect(lostBetween(direct, through)).toEqual([]);
  },
);
