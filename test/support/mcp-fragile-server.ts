/**
 * A process that dies when it is told to: `die`, and at its start while the file of its first argument
 * exists. Each start is written, as a line, to the file of its second. `grow` gives it one tool more.
 */
import { appendFileSync, existsSync } from "node:fs";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const [broken = "", starts = ""] = process.argv.slice(2);
appendFileSync(starts, "started\n");
if (existsSync(broken)) process.exit(3);

const server = new Server(
  { name: "fragile", version: "1" },
  { capabilities: { tools: { listChanged: true } } },
);
const inputSchema = { type: "object" as const };
const tools = ["die", "grow", "hang", "pid"];
server.setRequestHandler(ListToolsRequestSchema, () => ({
  tools: tools.map((name) => ({ name, description: name, inputSchema })),
}));
server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }) => {
  if (params.name === "die") process.exit(4);
  if (params.name === "grow") {
    tools.push("grown");
    await server.sendToolListChanged();
  }
  if (params.name === "hang") {
    appendFileSync(starts, "hanging\n");
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    appendFileSync(starts, "cancelled\n");
  }
  return { content: [{ type: "text", text: String(process.pid) }] };
});
await server.connect(new StdioServerTransport());
