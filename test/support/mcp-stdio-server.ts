/** A process of revision 2026-07-28 alone, by the second major version of the protocol's SDK. */
import { inputRequired, McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";

const requestedSchema = { type: "object", properties: { name: { type: "string" } } } as const;

serveStdio(
  () => {
    const server = new McpServer({ name: "lines", version: "1" }, { capabilities: { tools: {} } });
    server.registerTool("hello", { description: "Greets" }, (context) => {
      const given = context.mcpReq.inputResponses?.["who"];
      if (given) return { content: [{ type: "text", text: JSON.stringify(given) }] };
      return inputRequired({
        inputRequests: { who: inputRequired.elicit({ message: "Who?", requestedSchema }) },
      });
    });
    return server;
  },
  { legacy: "reject" },
);
