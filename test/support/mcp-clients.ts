/** Clients of the protocol's SDK that answer whatever a server asks. */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

/** What the clients put into a form. */
export const elicited = "Ann of the form";

/** Of revision 2026-07-28 alone, by the second major version of the SDK. */
export async function connectStateless(url: URL): Promise<Client> {
  const client = new Client(
    { name: "stateless", version: "1" },
    {
      capabilities: { elicitation: {}, sampling: {}, roots: {} },
      versionNegotiation: { mode: { pin: "2026-07-28" } },
    },
  );
  const content = { name: elicited, username: elicited, untitledSingle: elicited, ok: true };
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content }));
  client.setRequestHandler("sampling/createMessage", () => ({
    role: "assistant",
    model: "mine",
    content: { type: "text", text: "sampled" },
  }));
  client.setRequestHandler("roots/list", () => ({ roots: [{ uri: "file:///mine" }] }));
  await client.connect(new StreamableHTTPClientTransport(url) as never);
  return client;
}

/** Looks again at every turn of the event loop, until it holds; the test's own time limit ends it. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
