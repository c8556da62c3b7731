/**
 * A gateway in a process of its own that somebody kills: `a2a-child.ts DATADIR MODELURL AGENTURL`. It
 * prints its address.
 */
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway } from "./gateway.ts";

const [dataDir = "", modelUrl = "", agentUrl = ""] = process.argv.slice(2);
const { gateway } = await startTestGateway({
  yaml: `
routeiq_settings: {outbound: {allow_cidrs: ["127.0.0.0/8"]}}
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k, api_base: "${modelUrl}"}}]
agent_list:
  - {agent_name: writer, model: m}
  - {agent_name: remote, url: "${agentUrl}"}
`,
  ...{ dataDir, env: { LITELLM_MASTER_KEY: "sk-master-0123456789" } },
  // Notifications go to this machine.
  outbound: createOutbound({ allowCidrs: ["127.0.0.0/8"] }),
});
console.log(gateway.url);
