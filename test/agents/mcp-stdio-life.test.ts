/** A process that dies and comes back, calls that their caller gives up, and one list of many pages. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { eventually } from "../support/mcp-clients.ts";
import { createVirtualClock } from "../support/virtual-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "routeiq-mcp-life-"));
const script = join(import.meta.dir, "../support/mcp-fragile-server.ts");
const broken = join(folder, "broken");
const clock = createVirtualClock();
let gateway: TestGateway;
let client: Client;

/** What the process of this name wrote: a line for each of its starts. */
const linesOf = (name: string): readonly string[] => {
  const text = readFileSync(join(folder, name), "utf8");
  return text.split("\n").filter((line) => line !== "");
};
const startsOf = (name: string) => linesOf(name).filter((line) => line === "started").length;

beforeAll(async () => {
  for (const name of ["one", "two"]) writeFileSync(join(folder, name), "");
  const row = (name: string) =>
    `${name}: {command: "${process.execPath}", args: ["${script}", "${broken}-${name}", "${join(folder, name)}"]}`;
  gateway = await startTestGateway({
    yaml: `
mcp_servers:
  ${row("one")}
  ${row("two")}
routeiq_settings: {mcp: {page_size: 2}}
`,
    clock,
  });
  client = new Client({ name: "life", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(`${gateway.gateway.url}/mcp`));
  await client.connect(transport as never);
});
afterAll(async () => {
  await client.close();
  await gateway.gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Every page of the list, and how many there were. */
async function everyPage() {
  const names: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor });
    expect(page.tools.length).toBeLessThanOrEqual(2);
    names.push(...page.tools.map(({ name }) => name));
    cursor = page.nextCursor;
    pages++;
  } while (cursor !== undefined);
  return { names, pages };
}

const textOf = async (name: string) => {
  const { content } = await client.callTool({ name, arguments: {} });
  return JSON.stringify(content);
};
const saidBy = (call: Promise<unknown>): Promise<string> =>
  call.then(
    (result) => JSON.stringify(result),
    (thrown) => String(thrown),
  );

test("the servers' tools are one list, its pages in order, none twice", async () => {
  const { names, pages } = await everyPage();
  const own = (server: string) => ["die", "grow", "hang", "pid"].map((name) => `${server}.${name}`);
  expect(names).toEqual([...own("one"), ...own("two")]);
  expect(pages).toBe(4);
  expect(await saidBy(client.listTools({ cursor: "made up" }))).toContain("-32602");
});

test("one server's change is told on the list of all, which has it then", async () => {
  const told = new Promise<void>((resolve) =>
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve()),
  );
  expect((await everyPage()).names).not.toContain("two.grown");
  await textOf("two.grow");
  await told;
  const { names } = await everyPage();
  expect(names).toContain("two.grown");
  expect(names).not.toContain("one.grown");
});

test("a call that its caller gives up is given up by the server, and its process goes on", async () => {
  const pid = await textOf("two.pid");
  const control = new AbortController();
  const call = client.callTool({ name: "two.hang", arguments: {} }, undefined, {
    signal: control.signal,
  });
  const said = saidBy(call);
  await eventually(() => linesOf("two").includes("hanging"));
  control.abort("enough");
  expect(await said).toContain("enough");
  await eventually(() => linesOf("two").includes("cancelled"));
  expect(await textOf("two.pid")).toBe(pid);
});

test("who waits on a process that dies is told, and the next call starts it again", async () => {
  const pid = await textOf("one.pid");
  const starts = startsOf("one");
  const waiting = saidBy(client.callTool({ name: "one.hang", arguments: {} }));
  await eventually(() => linesOf("one").includes("hanging"));
  const killed = saidBy(client.callTool({ name: "one.die", arguments: {} }));
  expect(await waiting).toMatch(/"one" cannot answer: it ended while it was asked/);
  expect(await killed).toMatch(/"one" cannot answer: it ended while it was asked/);
  expect(startsOf("one")).toBe(starts); // not before it is needed
  const next = await textOf("one.pid");
  expect(next).toMatch(/\d+/);
  expect(next).not.toBe(pid);
  expect(startsOf("one")).toBe(starts + 1);
});

test("one that does not come up is left alone, longer each time, and the others serve", async () => {
  writeFileSync(`${broken}-one`, "");
  await saidBy(client.callTool({ name: "one.die", arguments: {} }));
  const before = startsOf("one");
  const fails = async (count: number) => {
    for (let call = 0; call < count; call++) {
      expect(await saidBy(client.callTool({ name: "one.pid", arguments: {} }))).toContain('"one"');
    }
  };
  await fails(5);
  expect(startsOf("one")).toBe(before + 1);
  await clock.advance(499);
  await fails(3);
  expect(startsOf("one")).toBe(before + 1);
  await clock.advance(1);
  await fails(3);
  expect(startsOf("one")).toBe(before + 2);
  await clock.advance(999);
  await fails(3);
  expect(startsOf("one")).toBe(before + 2);
  expect(await textOf("two.pid")).toMatch(/\d+/);
  rmSync(`${broken}-one`);
  await clock.advance(1);
  expect(await textOf("one.pid")).toMatch(/\d+/);
  expect(startsOf("one")).toBe(before + 3);
});
