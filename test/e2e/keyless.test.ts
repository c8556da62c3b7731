/** `serve` with neither configuration nor key: simulated providers answer, and say so. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createFolder, type RunningGateway, startGateway } from "../support/binary.ts";

const folder = createFolder();
let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await startGateway({ cwd: folder.path });
});
afterAll(async () => {
  await gateway?.stop();
  folder.remove();
});

test.each(["auto", "sim-lyra"])("%s answers, labelled as simulated", async (model) => {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi! How are you?" }] }),
  });
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("[Simulated answer by sim-");
  expect(response.headers.get("x-routeiq-model")).toMatch(/\/sim-/);
});

test("the start says so, too", () => expect(gateway.log()).toContain("simulated"));
