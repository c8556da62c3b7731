/** What callers and configurations may ask for in LiteLLM's words, case by case, on a virtual clock. */
import { describe, expect, test } from "bun:test";
import { isObject, type JsonObject } from "../src/domain/json.ts";
import { CallFailed, handle } from "../src/pipeline/handle.ts";
import { findReceipt } from "../src/pipeline/receipts.ts";
import { isWhole, type Reply } from "../src/pipeline/reply.ts";
import type { Outbound } from "../src/security/outbound.ts";
import { arrivalOf, configOf, createTestServices, hello } from "./support/services.ts";
import { type Behaviour, createUpstreams } from "./support/upstreams.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

/** A row per line: group, host (one letter), further `litellm_params`, `model_info`. */
function rows(...lines: readonly string[]): string {
  const list = lines.map((line) => {
    const [group, host, params = "", info = ""] = line.split(" | ");
    const more = params === "" ? "" : `, ${params}`;
    return `  - {model_name: "${group}", litellm_params: {model: openai/${host}, api_base: "http://${host}.test/v1", api_key: k-${host}${more}}, model_info: {id: id-${host}${info === "" ? "" : `, ${info}`}}}`;
  });
  return `model_list:\n${list.join("\n")}\n`;
}

async function world(yaml: string, scripts: Readonly<Record<string, readonly Behaviour[]>> = {}) {
  const clock = createVirtualClock();
  const left = new Map(Object.entries(scripts).map(([host, list]) => [host, [...list]]));
  const { outbound, seen } = createUpstreams(
    clock,
    ({ host }) => left.get(host.replace(".test", ""))?.shift() ?? { kind: "answer" },
  );
  const trusts: string[] = [];
  const watched: Outbound = {
    fetch(request) {
      trusts.push(request.trust);
      return outbound.fetch(request);
    },
  };
  const services = createTestServices(await configOf(yaml), { clock, outbound: watched });

  async function call(body: JsonObject, more: Parameters<typeof arrivalOf>[2] = {}) {
    const arrival = arrivalOf(body, clock, more);
    let outcome: Reply | CallFailed | undefined;
    const done = handle(arrival, services).then(
      (reply) => {
        outcome = reply;
      },
      (failure) => {
        outcome = failure;
      },
    );
    for (let i = 0; i < 400 && !outcome; i++) await clock.advance(250);
    await done;
    const failure = outcome instanceof CallFailed ? outcome.error : undefined;
    return { id: arrival.id, reply: outcome as Reply, failure, code: failure?.code ?? "answered" };
  }
  const hosts = () => seen.map(({ host }) => host.replace(".test", "")).join("");
  return { clock, services, seen, hosts, call, trusts: () => trusts };
}

const status = (code: number, message?: string): Behaviour => ({
  kind: "status",
  status: code,
  ...(message ? { message } : {}),
});
const withHeaders = (headers: Readonly<Record<string, string>>) => ({
  headers: new Headers(headers),
});

async function textOf({ body }: Reply): Promise<string> {
  if (isWhole(body)) return typeof body === "string" ? body : new TextDecoder().decode(body);
  let text = "";
  for (let bytes = await body.next(); bytes; bytes = await body.next()) {
    text += new TextDecoder().decode(bytes);
  }
  return text;
}

describe("tags choose deployments", () => {
  const three = rows("m | a | tags: [free]", "m | b | tags: [paid, eu]", "m | c | tags: [default]");
  const on = "router_settings: {enable_tag_filtering: true}\n";
  const all = "router_settings: {enable_tag_filtering: true, tag_filtering_match_any: false}\n";
  const cases: readonly [string, string, JsonObject, Record<string, string>, string][] = [
    ["of the body", three + on, { tags: ["free"] }, {}, "a"],
    ["of metadata", three + on, { metadata: { tags: ["paid"] } }, {}, "b"],
    ["of litellm_metadata", three + on, { litellm_metadata: { tags: ["paid"] } }, {}, "b"],
    ["of the header", three + on, {}, { "x-litellm-tags": "nothing, free" }, "a"],
    ["none: the default", three + on, {}, {}, "c"],
    ["unheard of: the default", three + on, { tags: ["x"] }, {}, "c"],
    ["all of them", three + all, { tags: ["paid", "eu"] }, {}, "b"],
    ["not all of them", three + all, { tags: ["paid", "free"] }, {}, "c"],
    ["off: they mean nothing", rows("m | a | tags: [free]"), { tags: ["x"] }, {}, "a"],
    [
      "no default: refused as LiteLLM does",
      rows("m | a | tags: [free]") + on,
      { tags: ["x"] },
      {},
      "permission_denied 401",
    ],
    ["untagged, no default: any", rows("m | a | tags: [free]") + on, {}, {}, "a"],
  ];
  test.each(cases)("%s", async (_name, yaml, body, headers, expected) => {
    const it = await world(yaml);
    const { failure } = await it.call(hello("m", body), withHeaders(headers));
    expect(failure ? `${failure.code} ${failure.status}` : it.hosts()).toBe(expected);
    for (const { body: sent } of it.seen) expect(sent).not.toHaveProperty("tags");
  });

  test("one that rests counts as not there while the default is", async () => {
    const it = await world(
      rows("m | a | tags: [free]", "m | b | tags: [default]") +
        "router_settings: {enable_tag_filtering: true, num_retries: 0, allowed_fails: 0}\n",
      { a: [status(500), status(500)] },
    );
    await it.call(hello("m", { tags: ["free"] }));
    // The only one with the tag is the last of its kind, so it is not taken out.
    await it.call(hello("m", { tags: ["free"] }));
    expect(it.hosts()).toBe("aa");
  });
});

describe("regions", () => {
  const two = rows("m | a | region_name: us-east-1", "m | b | region_name: eu-west-1", "m | c");
  const cases: readonly [string, string][] = [
    ["eu", "b"],
    ["eu-west-1", "b"],
    ["us", "a"],
    ["US-EAST-1", "a"],
    ["apac", "unsupported_capability"],
  ];
  test.each(cases)("%s", async (region, expected) => {
    const it = await world(two);
    const { failure } = await it.call(hello("m", { allowed_model_region: region }));
    expect(failure?.code ?? it.hosts()).toBe(expected);
  });
});

describe("pre-call checks", () => {
  const on = "router_settings: {enable_pre_call_checks: true, num_retries: 0}\n";
  const long = { messages: [{ role: "user", content: "word ".repeat(200) }] };

  test("a window that is too small, row by row", async () => {
    const yaml =
      rows("m | a |  | max_input_tokens: 10", "m | b |  | max_input_tokens: 100000") + on;
    const it = await world(yaml);
    for (let i = 0; i < 6; i++) await it.call(hello("m", long));
    expect(it.hosts()).toBe("bbbbbb");
  });

  test("too small everywhere: context_window_fallbacks", async () => {
    const yaml =
      rows("m | a |  | max_input_tokens: 10", "big | b") +
      "router_settings: {enable_pre_call_checks: true, context_window_fallbacks: [{m: [big]}]}\n";
    const it = await world(yaml);
    expect((await it.call(hello("m", long))).code).toBe("answered");
    expect(it.hosts()).toBe("b");
    const none = await world(rows("m | a |  | max_input_tokens: 10") + on);
    expect((await none.call(hello("m", long))).code).toBe("context_length_exceeded");
  });

  test.each([
    ["enable_pre_call_checks: true"],
    ["optional_pre_call_checks: [enforce_model_rate_limits]"],
  ])("rpm is a limit under %s", async (setting) => {
    const it = await world(`${rows("m | a | rpm: 2")}router_settings: {${setting}}\n`);
    const codes = [];
    for (let i = 0; i < 3; i++) codes.push((await it.call(hello("m"))).failure?.status ?? 200);
    expect(codes).toEqual([200, 200, 429]);
    await it.clock.advance(60_000);
    expect((await it.call(hello("m"))).code).toBe("answered");
  });

  test("at its limit, a group's fallbacks serve", async () => {
    const yaml =
      rows("m | a | rpm: 1", "n | b") +
      "router_settings: {enable_pre_call_checks: true, fallbacks: [{m: [n]}]}\n";
    const it = await world(yaml);
    await it.call(hello("m"));
    await it.call(hello("m"));
    expect(it.hosts()).toBe("ab");
  });
});

describe("order", () => {
  const yaml = rows("m | a | order: 1", "m | b | order: 2", "m | c | order: 3");
  test.each([
    ["each level has retries of its own", 1, { a: [500], b: [500] }, "abc"],
    ["without retries as well", 0, { a: [500], b: [500] }, "abc"],
    ["a request that is wrong is wrong everywhere", 1, { a: [400] }, "a"],
  ] as const)("%s", async (_name, retries, scripts, hosts) => {
    const scripted = Object.fromEntries(
      Object.entries(scripts).map(([host, codes]) => [
        host,
        codes.map((code: number) => status(code)),
      ]),
    );
    const it = await world(`${yaml}router_settings: {num_retries: ${retries}}\n`, scripted);
    await it.call(hello("m"));
    expect(it.hosts()).toBe(hosts);
  });

  test("nothing is left: the last failure, and no level is asked twice for it", async () => {
    const it = await world(`${yaml}router_settings: {num_retries: 0}\n`, {
      a: [status(500)],
      b: [status(500)],
      c: [status(500)],
    });
    expect((await it.call(hello("m"))).code).toBe("upstream_failed");
    expect(it.hosts()).toBe("abc");
  });
});

describe("retries", () => {
  const down = [status(500), status(500), status(500), status(500), status(500)];
  const cases: readonly [string, string, JsonObject, Record<string, string>, number][] = [
    ["by default", "", {}, {}, 3],
    ["of the request", "", { num_retries: 0 }, {}, 1],
    ["of the header", "", { num_retries: 0 }, { "x-litellm-num-retries": "1" }, 2],
    ["of the override", "", { router_settings_override: { num_retries: 1 } }, {}, 2],
    [
      "a group's policy, above the general one",
      "router_settings: {retry_policy: {InternalServerErrorRetries: 0}, model_group_retry_policy: {m: {InternalServerErrorRetries: 3}}}",
      {},
      {},
      4,
    ],
    [
      "another group's policy",
      "router_settings: {retry_policy: {InternalServerErrorRetries: 0}, model_group_retry_policy: {n: {InternalServerErrorRetries: 3}}}",
      {},
      {},
      1,
    ],
    [
      "a policy of the override",
      "",
      { router_settings_override: { retry_policy: { InternalServerErrorRetries: 1 } } },
      {},
      2,
    ],
  ];
  test.each(cases)("%s", async (_name, settings, body, headers, attempts) => {
    const it = await world(`${rows("m | a", "n | b")}${settings}\n`, { a: down });
    await it.call(hello("m", body), withHeaders(headers));
    expect(it.hosts()).toBe("a".repeat(attempts));
  });
});

describe("fallbacks of one call", () => {
  const yaml = `${rows("m | a", "n | b", "o | c")}router_settings: {num_retries: 0}\n`;
  const cases: readonly [string, JsonObject, string][] = [
    ["names", { fallbacks: ["n"] }, "ab"],
    ["objects", { fallbacks: [{ model: "n" }] }, "ab"],
    ["the override's", { router_settings_override: { fallbacks: [{ m: ["o"] }] } }, "ac"],
    ["the override's default", { router_settings_override: { default_fallbacks: ["n"] } }, "ab"],
    [
      "no more than the override allows",
      { fallbacks: ["nobody", "n"], router_settings_override: { max_fallbacks: 1 } },
      "a",
    ],
  ];
  test.each(cases)("%s", async (_name, body, hosts) => {
    const it = await world(yaml, { a: [status(500)] });
    await it.call(hello("m", body));
    expect(it.hosts()).toBe(hosts);
    for (const { body: sent } of it.seen) {
      expect(Object.keys(sent).sort()).toEqual(["messages", "model"]);
    }
  });

  test("an object's fields differ there, and its place does not count", async () => {
    const it = await world(yaml, { a: [status(500)] });
    const messages = [{ role: "user", content: "shorter" }];
    const target = { model: "n", messages, temperature: 0.5, num_retries: 9 };
    await it.call(hello("m", { temperature: 1, fallbacks: [target] }));
    expect(it.seen[1]?.body).toEqual({ model: "b", messages, temperature: 0.5 });
    const refused = await it.call(
      hello("m", { fallbacks: [{ model: "n", api_base: "http://x" }] }),
    );
    expect(refused.failure?.param).toBe("api_base");
  });

  test("the same group with other fields is another try", async () => {
    const it = await world(yaml, { a: [status(500)] });
    await it.call(hello("m", { fallbacks: [{ model: "m", temperature: 0 }] }));
    expect(it.seen[1]?.body["temperature"]).toBe(0);
  });

  test.each([
    [{ fallbacks: "n" }, "fallbacks"],
    [{ fallbacks: [7] }, "fallbacks[0]"],
    [{ num_retries: -1 }, "num_retries"],
    [{ router_settings_override: [] }, "router_settings_override"],
    [{ router_settings_override: { fallbacks: ["n"] } }, "router_settings_override.fallbacks"],
    [{ router_settings_override: { num_retries: "x" } }, "router_settings_override.num_retries"],
    [
      { router_settings_override: { routing_strategy: "fancy" } },
      "router_settings_override.routing_strategy",
    ],
    [{ allowed_model_region: 7 }, "allowed_model_region"],
  ])("%j is refused by name", async (body, param) => {
    const it = await world(yaml);
    const { failure } = await it.call(hello("m", body as JsonObject));
    expect([failure?.status, failure?.param]).toEqual([400, param]);
    expect(it.seen.length).toBe(0);
  });

  test("a strategy of one call", async () => {
    const it = await world(rows("m | a | weight: 0, input_cost_per_token: 0", "m | b | weight: 1"));
    await it.call(hello("m"));
    const cheapest = { routing_strategy: "cost-based-routing" };
    await it.call(hello("m", { router_settings_override: cheapest }));
    expect(it.hosts()).toBe("ba");
  });
});

describe("mocks", () => {
  const yaml = `${rows("m | a", "n | b")}router_settings: {num_retries: 0, fallbacks: [{m: [n]}], context_window_fallbacks: [{m: [n]}], content_policy_fallbacks: [{m: [n]}]}\n`;
  const replies: readonly [string, JsonObject, unknown][] = [
    ["a text", { mock_response: "hi there" }, "hi there"],
    ["tool calls", { mock_tool_calls: [{ id: "c1", type: "function", function: {} }] }, null],
    [
      "a whole reply",
      { mock_response: { choices: [{ index: 0, message: { content: "whole" } }] } },
      "whole",
    ],
  ];
  test.each(replies)("%s", async (_name, body, content) => {
    const it = await world(yaml);
    const { reply, id } = await it.call(hello("m", body));
    expect(JSON.parse(await textOf(reply)).choices[0].message.content).toBe(content);
    expect(it.seen.length).toBe(0);
    const receipt = await findReceipt(id, it.services);
    expect(receipt?.costMicroUsd).toBe(0);
    expect(it.services.rows.at(-1)).not.toHaveProperty("unread"); // nothing to learn from
  });

  test("a stream, in the caller's dialect", async () => {
    const it = await world(yaml);
    const chat = await it.call(hello("m", { mock_response: "one two", stream: true }));
    const text = await textOf(chat.reply);
    expect(text).toContain('"content":"one"');
    expect(text).toContain("[DONE]");
    const body = { ...hello("m"), max_tokens: 9, mock_response: "one two", stream: true };
    const messages = await it.call(body, { dialect: "anthropic" });
    expect(await textOf(messages.reply)).toContain("event: message_stop");
  });

  const failing: readonly [string, JsonObject, string, string][] = [
    ["a fallback is tried out", { mock_testing_fallbacks: true }, "b", "answered"],
    ["a longer window", { mock_testing_context_fallbacks: true }, "b", "answered"],
    ["another policy", { mock_testing_content_policy_fallbacks: true }, "b", "answered"],
    ["a rate limit", { mock_testing_rate_limit_error: true }, "b", "answered"],
    [
      "without fallbacks: the failure",
      { mock_testing_fallbacks: true, disable_fallbacks: true },
      "",
      "upstream_failed",
    ],
    [
      "a failure by name",
      { mock_response: "litellm.RateLimitError", disable_fallbacks: true },
      "",
      "rate_limited",
    ],
    [
      "an exception's text",
      { mock_response: "Exception: boom", disable_fallbacks: true },
      "",
      "upstream_failed",
    ],
    [
      "a timeout",
      { mock_timeout: true, timeout: 2, disable_fallbacks: true },
      "",
      "upstream_timeout",
    ],
  ];
  test.each(failing)("%s", async (_name, body, hosts, code) => {
    const it = await world(yaml);
    expect((await it.call(hello("m", body))).code).toBe(code);
    expect(it.hosts()).toBe(hosts);
    // However often: the deployment is as healthy as before.
    for (let i = 0; i < 8; i++) await it.call(hello("m", { ...body, disable_fallbacks: true }));
    expect(it.services.pool.stats.latency("id-a")).toBe(0);
    expect(it.services.pool.isEjected("id-a")).toBe(false);
  });

  test("of a row: no provider is asked", async () => {
    const it = await world(rows("m | a | mock_response: canned"));
    const { reply } = await it.call(hello("m"));
    expect(await textOf(reply)).toContain("canned");
    expect(it.seen.length).toBe(0);
  });

  test.each([
    ["nobody", "permission_denied"],
    ["admin", "answered"], // without a master key every caller of this machine is one
  ])("open to %s", async (who, code) => {
    const it = await world(`${yaml}routeiq_settings: {mock_requests: ${who}}\n`);
    expect((await it.call(hello("m", { mock_response: "x" }))).code).toBe(code);
  });

  test("embeddings", async () => {
    const it = await world(yaml);
    const body = { model: "m", input: ["a", "b"], mock_response: [1, 2] };
    const { reply } = await it.call(body, { operation: "embedding" });
    const { data } = JSON.parse(await textOf(reply));
    expect(data.map((each: JsonObject) => each["embedding"])).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });
});

describe("rows", () => {
  test("a shared credential and default parameters, the row's own words first", async () => {
    const it = await world(`
credential_list:
  - {credential_name: shared, credential_values: {api_key: from-list, api_base: "http://z.test/v1"}}
router_settings: {default_litellm_params: {temperature: 0.25}}
model_list:
  - {model_name: m, litellm_params: {model: openai/a, litellm_credential_name: shared}}
  - {model_name: n, litellm_params: {model: openai/b, litellm_credential_name: shared, api_key: own}}
`);
    await it.call(hello("m"));
    await it.call(hello("n"));
    expect(it.hosts()).toBe("zz");
    expect(it.seen.map(({ headers }) => headers["authorization"])).toEqual([
      "Bearer from-list",
      "Bearer own",
    ]);
    expect(it.seen[0]?.body["temperature"]).toBe(0.25);
    expect(it.seen.every(({ body }) => isObject(body))).toBe(true);
  });

  test("allowed_fails of a row", async () => {
    const yaml =
      rows("m | a |  | allowed_fails: 0", "m | b | weight: 0") +
      "router_settings: {num_retries: 0, cooldown_time: 60}\n";
    const it = await world(yaml, { a: [status(500)], b: [status(500)] });
    const codes = [];
    for (let i = 0; i < 8; i++) codes.push((await it.call(hello("m"))).code);
    expect(it.hosts().lastIndexOf("a")).toBe(it.hosts().indexOf("a"));
  });

  test.each([
    ["its own", "max_parallel_requests: 1, rpm: 9", 1],
    ["its rpm", "rpm: 7", 7],
    ["its tpm", "tpm: 1000", 6],
    ["the router's", "temperature: 1", 3],
  ])("calls in flight: %s", async (_name, params, limit) => {
    const it = await world(
      `${rows(`m | a | ${params}`)}router_settings: {default_max_parallel_requests: 3}\n`,
    );
    expect(it.services.table.deployments[0]?.maxParallelRequests).toBe(limit);
  });
});

describe("names", () => {
  const off = "  - {model_name: old, litellm_params: {model: oci/cohere.command}}\n";

  test("of a row whose provider is not served: said so, or its fallbacks", async () => {
    const it = await world(rows("m | a") + off);
    const { failure } = await it.call(hello("old"));
    expect(failure?.code).toBe("unsupported_capability");
    expect(failure?.message).toContain('The model "old" is configured, but turned off');
    const saved = await world(`${rows("m | a")}${off}router_settings: {fallbacks: [{old: [m]}]}\n`);
    expect((await saved.call(hello("old"))).code).toBe("answered");
    expect(saved.hosts()).toBe("a");
  });

  test("a name that a wildcard's provider does not know says nothing of the row", async () => {
    const it = await world(
      `${rows("openai/* | a", "openai/* | b")}router_settings: {num_retries: 0, allowed_fails: 0}\n`
        .replaceAll("model: openai/a", "model: openai/*")
        .replaceAll("model: openai/b", "model: openai/*"),
      { a: [status(404)], b: [status(404)] },
    );
    for (let i = 0; i < 6; i++) await it.call(hello("openai/x"));
    expect(it.services.pool.isEjected("id-a")).toBe(false);
    expect(it.services.pool.isEjected("id-b")).toBe(false);
  });

  test("an alias has its target's fallbacks", async () => {
    const it = await world(
      `${rows("m | a", "n | b")}router_settings: {num_retries: 0, model_group_alias: {best: m}, fallbacks: [{m: [n]}]}\n`,
      { a: [status(500)] },
    );
    await it.call(hello("best"));
    expect(it.hosts()).toBe("ab");
  });
});

describe("parameters", () => {
  const anthropic = (params: string) =>
    `model_list: [{model_name: m, litellm_params: {model: anthropic/claude-3-5-haiku, api_base: "http://a.test", api_key: k, ${params}}}]\n`;

  test("a row's additional_drop_params, and a request's", async () => {
    const it = await world(
      rows('m | a | additional_drop_params: [seed, "tools[*].function.strict"]'),
    );
    const tools = [{ type: "function", function: { name: "f", strict: true } }];
    await it.call(
      hello("m", { seed: 1, user: "u", top_p: 1, tools, additional_drop_params: ["user"] }),
    );
    expect(it.seen[0]?.body).toEqual({
      ...hello("a", { top_p: 1 }),
      tools: [{ type: "function", function: { name: "f" } }],
    });
  });

  const cases: readonly [string, string, JsonObject, JsonObject | string][] = [
    ["refused", "timeout: 9", { seed: 1 }, "seed"],
    ["drop_params", "drop_params: true", { seed: 1 }, {}],
    ["of the request", "timeout: 9", { seed: 1, drop_params: true }, {}],
    ["additional_drop_params", "additional_drop_params: [seed]", { seed: 1 }, {}],
    ["allowed_openai_params", "allowed_openai_params: [seed]", { seed: 1 }, { seed: 1 }],
    ["of the request", "timeout: 9", { seed: 1, allowed_openai_params: ["seed"] }, { seed: 1 }],
    ["another is allowed", "allowed_openai_params: [n]", { seed: 1 }, "seed"],
  ];
  test.each(cases)("what Anthropic does not know: %s", async (_name, params, body, sent) => {
    const it = await world(anthropic(params));
    const { failure } = await it.call(hello("m", body));
    if (typeof sent === "string") expect(failure?.param).toBe(sent);
    else {
      expect(it.seen[0]?.body["seed"]).toEqual(sent["seed"]);
      expect(it.seen[0]?.body).not.toHaveProperty("allowed_openai_params");
    }
  });
});

describe("a caller's own key and address", () => {
  const allows = (what: string) =>
    rows(
      `m | a | configurable_clientside_auth_params: ${what}, extra_headers: {x-operator: secret}`,
    );
  const own = { api_key: "own-key", api_base: "https://b.test/v1" };

  const cases: readonly [string, string, JsonObject, string][] = [
    ["nothing is let in", rows("m | a"), { api_key: "x" }, "api_key"],
    ["a key", allows("[api_key]"), { api_key: "own-key" }, "a Bearer own-key"],
    ["a key, but no address", allows("[api_key]"), own, "api_base"],
    ["both", allows("[api_key, api_base]"), own, "b Bearer own-key"],
    ["the other name", allows("[api_key, api_base]"), { base_url: "https://b.test/v1/" }, "b none"],
    ["by pattern", allows("[api_key, {api_base: 'https://b[.]test/.*'}]"), own, "b Bearer own-key"],
    ["another", allows("[api_key, {api_base: 'https://b[.]test'}]"), own, "api_base"],
    ["no text", allows("[api_key]"), { api_key: 7 }, "api_key"],
  ];
  test.each(cases)("%s", async (_name, yaml, body, expected) => {
    const it = await world(yaml);
    const { failure } = await it.call(hello("m", body));
    const [seen] = it.seen;
    const sent =
      seen && `${seen.host.replace(".test", "")} ${seen.headers["authorization"] ?? "none"}`;
    expect(failure?.param ?? sent).toBe(expected);
    // The operator's headers may hold secrets as well.
    if (seen?.host === "b.test") expect(seen.headers).not.toHaveProperty("x-operator");
    if (seen) expect(Object.keys(seen.body).sort()).toEqual(["messages", "model"]);
  });

  test("the address has the strict rule, and a failure says nothing of the row", async () => {
    const it = await world(
      `${rows(
        "m | a | configurable_clientside_auth_params: [api_key, api_base]",
        "m | b | configurable_clientside_auth_params: [api_key, api_base]",
      )}router_settings: {num_retries: 0}\n`,
      { c: Array.from({ length: 9 }, () => status(401)) },
    );
    for (let i = 0; i < 9; i++) await it.call(hello("m", { ...own, api_base: "https://c.test" }));
    expect(it.hosts()).toBe("ccccccccc");
    expect(new Set(it.trusts())).toEqual(new Set(["strict"]));
    expect(["id-a", "id-b"].some((id) => it.services.pool.isEjected(id))).toBe(false);
    await it.call(hello("m"));
    expect(it.trusts().at(-1)).toBe("operator");
  });
});

describe("a stream that is silent says so where that is configured", () => {
  const general = "general_settings: {sse_keepalive_ping_interval_seconds: 3}\n";
  const cases: readonly [string, string, string][] = [
    ["nothing said", rows("m | a"), "ttt"],
    ["of the row", rows("m | a | keepalive_seconds: 2"), "pptpptppt"],
    ["of all", `${rows("m | a")}${general}`, "ptptpt"],
    ["the row's word wins", `${rows("m | a | keepalive_seconds: 300")}${general}`, "ttt"],
  ];
  test.each(cases)("%s", async (_, yaml, expected) => {
    const behaviour: Behaviour = { kind: "answer", tokens: 3, gapMs: 5000 };
    const { clock, services } = await world(yaml, { a: [behaviour] });
    let text = "";
    let over = false;
    const read = handle(arrivalOf({ ...hello("m"), stream: true }, clock), services)
      .then(textOf)
      .then((all) => {
        text = all;
        over = true;
      });
    for (let i = 0; i < 400 && !over; i++) await clock.advance(250);
    await read;
    const events = text.split("\n\n").filter((event) => event !== "");
    const told = events.map((event) =>
      event === ": ping" ? "p" : /"content":"t\d /.test(event) ? "t" : "",
    );
    expect(told.join("").replace(/p+$/, "")).toBe(expected);
    expect(text).toEndWith("data: [DONE]\n\n");
  });
});
