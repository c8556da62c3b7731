/**
 * A2A by the requirements of its TCK, in both revisions and both bindings: what holds of the reference
 * agent when it is asked directly holds through the gateway, and of the gateway's own agents.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createOutbound } from "../../src/security/outbound.ts";
import { type Check, Skipped, type World } from "../support/a2a/check.ts";
import { streamChecks } from "../support/a2a/checks-streams.ts";
import { taskChecks } from "../support/a2a/checks-tasks.ts";
import { wireChecks } from "../support/a2a/checks-wire.ts";
import { type Form, type Reference, startReference } from "../support/a2a/reference.ts";
import type { Surface } from "../support/a2a/wire.ts";
import { createReferenceWorld, type Hooks, startHooks } from "../support/a2a/world.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

const master = "sk-master-0123456789";
const forms: readonly Form[] = ["1.0 JSONRPC", "1.0 HTTP+JSON", "0.3 JSONRPC", "0.3 HTTP+JSON"];
const checks = [...taskChecks, ...streamChecks, ...wireChecks];

let it: TestGateway;
let reference: Reference;
let hooks: Hooks;
let world: World;

beforeAll(async () => {
  reference = await startReference();
  hooks = startHooks();
  world = createReferenceWorld(hooks);
  const agents = forms.map(
    (form) => `  - {agent_name: "${nameOf(form)}", url: "${reference.only(form)}"}`,
  );
  it = await startTestGateway({
    yaml: `routeiq_settings: {a2a: {tasks_per_minute: 10000}}\nagent_list:\n  - {agent_name: all, url: "${reference.url}"}\n${agents.join("\n")}\n`,
    // The hook is on this machine, where strict trust goes only by an operator's word.
    outbound: createOutbound({ allowCidrs: ["127.0.0.0/8"] }),
    env: { LITELLM_MASTER_KEY: master },
  });
});
afterAll(async () => {
  await it.gateway.close();
  await reference.close();
  hooks.close();
});

const nameOf = (form: Form) => form.toLowerCase().replace(/[^a-z0-9]+/g, "-");

function direct(form: Form): Surface {
  const [version, binding] = form.split(" ") as [Surface["version"], Surface["binding"]];
  const url = reference.url + (binding === "JSONRPC" ? "" : "/rest");
  return {
    version,
    binding,
    url,
    cardUrl: `${reference.url}/.well-known/agent-card.json`,
    headers: {},
  };
}

function through(form: Form, agent: string): Surface {
  const url = `${it.gateway.url}/a2a/${agent}`;
  const headers = { authorization: `Bearer ${master}` };
  return { ...direct(form), url, cardUrl: `${url}/.well-known/agent-card.json`, headers };
}

const fits =
  (form: Form) =>
  ({ version, binding }: Check) =>
    form.startsWith(version ?? "") && form.endsWith(binding ?? "");

/** Undefined where it holds, or cannot be seen. */
async function verdict({ run }: Check, surface: Surface): Promise<string | undefined> {
  try {
    await run(surface, world);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Skipped ? undefined : String(thrown);
  }
}

describe.each(forms)("the reference agent by %s", (form) => {
  test.each(checks.filter(fits(form)).map((check) => [check.id, check] as const))(
    "%s holds through the gateway if it holds directly",
    async (_id, check) => {
      const [before, after] = [
        await verdict(check, direct(form)),
        await verdict(check, through(form, "all")),
      ];
      if (process.env["A2A_SHOW"] && (before || after))
        console.log(
          `${form} ${check.level} ${check.id}\n   direct: ${before}\n   through: ${after}`,
        );
      if (before === undefined) expect(after).toBeUndefined();
    },
  );
});
