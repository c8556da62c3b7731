/** `--workers`: several processes on one port, and a reload that reaches all of them. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createFolder, startGateway } from "../support/binary.ts";

const configOf = (name: string) =>
  `model_list: [{model_name: ${name}, litellm_params: {model: openai/m, api_key: k, mock_response: hi}}]\n`;

test("a call to the API reloads every process", async () => {
  const folder = createFolder();
  writeFileSync(join(folder.path, "config.yaml"), configOf("one"), { mode: 0o644 });
  const env = { CONFIG_HOT_RELOAD: "false" };
  const gateway = await startGateway({ cwd: folder.path, env, args: ["--workers", "2"] });
  writeFileSync(join(folder.path, "config.yaml"), configOf("two"));
  const reload = () => fetch(`${gateway.url}/config/reload`, { method: "POST" });
  const nameAt = async () => {
    // A connection of its own: the kernel chooses the process for each.
    const init = { headers: { connection: "close" } };
    const { data } = (await (await fetch(`${gateway.url}/v1/models`, init)).json()) as {
      data: { id: string }[];
    };
    return data[0]?.id;
  };
  expect((await reload()).status).toBe(200);
  // Until both have it: so many in a row cannot all have met one process.
  for (let inRow = 0; inRow < 24; ) {
    inRow = (await nameAt()) === "two" ? inRow + 1 : 0;
    await Bun.sleep(10);
  }
  expect(gateway.log()).not.toContain("in use");
  await gateway.stop();
  folder.remove();
}, 60_000);
