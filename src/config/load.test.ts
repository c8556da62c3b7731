/** Configurations, good and bad, and exactly what is said of them. */
import { describe, expect, test } from "bun:test";
import { checkConfig } from "./check/check.ts";
import type { KnownNames } from "./check/rule.ts";
import type { Finding } from "./finding.ts";
import { loadConfig } from "./load.ts";

const known: KnownNames = {
  strategies: ["llmrouter-knn", "llmrouter-mlp", "llmrouter-smallest"],
  untrained: ["llmrouter-smallest"],
  balancers: ["simple-shuffle", "least-busy", "latency-based-routing", "cost-aware"],
  nesting: { name: "cost-aware", inner: ["least-busy", "llmrouter-knn", "cost-aware"] },
  notServed: ["llmrouter-elo"],
};

interface Given {
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly path?: string;
}

async function load({ files = {}, env = {}, path }: Given) {
  const loaded = await loadConfig({
    path,
    cwd: "/app",
    env,
    readText: (name) => Promise.resolve(files[name]),
  });
  return checkConfig(loaded, { known, exists: (name) => name.startsWith("/there") });
}

/** `level line path: message` of each finding, for short expectations. */
const brief = ({ level, line, path, message }: Finding) => `${level} ${line} ${path}: ${message}`;

async function check(yaml: string, env: Readonly<Record<string, string>> = {}) {
  const { config, findings } = await load({ files: { "/app/config.yaml": yaml }, env });
  return { config, told: findings.map(brief) };
}

const model = `model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: sk-upstream-key}
`;

test("identities are resolved as they are read, but for those that soon end", async () => {
  const row = (key: string) =>
    `model_list: [{model_name: m, litellm_params: {model: azure/m, ${key}: oidc/env/CI}}]\n`;
  const env = { CI: "token" };
  const read = async (key: string) => {
    const { config, told } = await check(row(key), env);
    return [config?.models[0]?.params[key], told];
  };
  expect(await read("api_key")).toEqual(["token", []]);
  expect(await read("azure_ad_token")).toEqual(["oidc/env/CI", []]);
  expect(await read("aws_web_identity_token")).toEqual(["oidc/env/CI", []]);
  const { told } = await check(row("api_key"));
  expect(told).toEqual([
    "warning 1 model_list[0].litellm_params.api_key: oidc/env/CI cannot be resolved: the environment variable CI is not set",
  ]);
});

describe("what starts", () => {
  test("the seed example, unchanged, says how to get a router", async () => {
    const { config, findings } = await load({
      files: {
        "/app/config.yaml": `model_list:
  - model_name: gpt-4
    litellm_params: {model: openai/gpt-4, api_key: os.environ/OPENAI_API_KEY}
router_settings:
  routing_strategy: llmrouter-knn
  routing_strategy_args: {model_path: /app/models/router_model.pkl, hot_reload: true, reload_interval: 300}
`,
      },
      env: { OPENAI_API_KEY: "sk-from-env" },
    });
    expect(findings.map(brief)).toEqual([
      "warning 6 router_settings.routing_strategy_args.model_path: /app/models/router_model.pkl is " +
        "a pickle, which RouteIQ never loads; simple-shuffle serves until there is a router",
    ]);
    expect(findings[0]?.remedy).toContain(
      "routeiq train --events ./.routeiq --strategy llmrouter-knn",
    );
    expect(config?.models).toEqual([
      {
        modelName: "gpt-4",
        params: { model: "openai/gpt-4", api_key: "sk-from-env" },
        info: {},
        file: "/app/config.yaml",
        line: 2,
      },
    ]);
    expect(config?.router.routingStrategy).toBe("llmrouter-knn");
    expect(config?.router.routingStrategyArgs).toEqual({
      model_path: "/app/models/router_model.pkl",
      hot_reload: true,
      reload_interval: 300,
    });
    expect(config?.origin).toBe("file");
  });

  test("defaults", async () => {
    const { config, told } = await check(model);
    expect(told).toEqual([]);
    expect(config?.router).toEqual({
      routingStrategy: "simple-shuffle",
      routingStrategyArgs: {},
      importsPickles: false,
      numRetries: 2,
      retryAfterS: 0,
      fallbacks: [],
      contextWindowFallbacks: [],
      contentPolicyFallbacks: [],
      defaultFallbacks: [],
      maxFallbacks: 5,
      cooldownTimeS: 5,
      disableCooldowns: false,
      modelGroupAlias: {},
      enablePreCallChecks: false,
      enforceRateLimits: false,
    });
    expect(config?.routeiq).toMatchObject({
      autoModels: { auto: {} },
      timeouts: {
        connectMs: 3000,
        firstTokenMs: 300000,
        idleMs: 120000,
        totalMs: 6000000,
        writeStallMs: 30000,
        receiveMs: 30000,
      },
      maxAttempts: 8,
      corsOrigins: [],
      upstreamProtocol: "http1",
      httpClient: "own",
      upstreamIdleMs: 30000,
      drainMs: 30000,
      telemetry: {
        storePrompts: false,
        events: true,
        sampleRatio: 1,
        serviceName: "routeiq",
        otlpHeaders: {},
      },
    });
    expect(config?.general).toEqual({
      adminApiKeys: [],
      passThroughEndpoints: [],
      passThroughTimeoutMs: 600_000,
    });
  });

  test("strings from the environment become what the key wants", async () => {
    const yaml = `model_list:
  - model_name: a
    litellm_params: {model: openai/a, api_key: k, rpm: os.environ/RPM, drop_params: "False"}
litellm_settings: {drop_params: "True", request_timeout: os.environ/LIMIT}
router_settings: {timeout: 30, enable_pre_call_checks: yes}
`;
    const { config, told } = await check(yaml, { RPM: "600", LIMIT: "12.5" });
    expect(told).toEqual([]);
    expect(config?.models[0]?.params).toEqual({
      model: "openai/a",
      api_key: "k",
      rpm: 600,
      drop_params: false,
    });
    expect(config?.litellm).toMatchObject({ dropParams: true, requestTimeoutMs: 12500 });
    expect(config?.router).toMatchObject({ timeoutMs: 30000, enablePreCallChecks: true });
  });

  test("fallbacks, retries and aliases, also in their older place", async () => {
    const yaml = `${model}  - model_name: b
    litellm_params: {model: groq/llama, api_key: k}
litellm_settings:
  num_retries: 4
  fallbacks: [{gpt-4o: [b]}]
  default_fallbacks: [b]
router_settings:
  model_group_alias: {gpt-4: gpt-4o, secret: {model: b, hidden: true}}
  context_window_fallbacks: [{"*": [b]}]
  retry_policy: {RateLimitErrorRetries: 3}
`;
    const { config, told } = await check(yaml);
    expect(told).toEqual([]);
    expect(config?.router).toMatchObject({
      numRetries: 4,
      fallbacks: [{ "gpt-4o": ["b"] }],
      defaultFallbacks: ["b"],
      contextWindowFallbacks: [{ "*": ["b"] }],
      retryPolicy: { RateLimitErrorRetries: 3 },
      modelGroupAlias: {
        "gpt-4": { model: "gpt-4o", hidden: false },
        secret: { model: "b", hidden: true },
      },
    });
  });

  test("includes: lists grow, other keys are overwritten, lines stay theirs", async () => {
    const { config, findings } = await load({
      files: {
        "/app/config.yaml": `include: [more/models.yaml]\n${model}router_settings: {num_retries: 1}\n`,
        "/app/more/models.yaml": `# more
model_list:
  - model_name: b
    litellm_params: {model: openai/b, api_key: k, rpm: fast}
router_settings: {num_retries: 7}
`,
      },
    });
    expect(config).toBeUndefined();
    expect(findings).toEqual([
      {
        level: "error",
        file: "/app/more/models.yaml",
        line: 4,
        path: "model_list[0].litellm_params.rpm",
        message: 'rpm must be a number, 0 or more, not "fast"',
        remedy: "Requests per minute of this deployment.",
      },
    ]);
  });

  test("unknown litellm_params travel on, LiteLLM's own do not go unsaid", async () => {
    const yaml = `model_list:
  - model_name: a
    litellm_params: {model: openai/a, api_key: k, release: 2024-10-21, temperature: 0.2, top_k: 5, api_bas: http://x, watsonx_region_name: p}
`;
    const { config, told } = await check(yaml);
    expect(config?.models[0]?.params).toMatchObject({
      temperature: 0.2,
      top_k: 5,
      release: "2024-10-21",
    });
    expect(told).toEqual([
      'warning 3 model_list[0].litellm_params.api_bas: "api_bas" is no key of model_list[0].litellm_params, ' +
        "so it goes to the provider as a field of the body",
      'warning 3 model_list[0].litellm_params.watsonx_region_name: "watsonx_region_name" is known to LiteLLM, not used by RouteIQ yet',
    ]);
  });

  test("the environment stands in where the file says nothing", async () => {
    const { config, told } = await check(
      `${model}environment_variables: {OTEL_SERVICE_NAME: gw, FLAG: true}\n`,
      {
        LITELLM_MASTER_KEY: "sk-long-enough-master",
        ADMIN_API_KEYS: "one, two",
        ADMIN_API_KEY: "three",
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318",
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20x",
        LLMROUTER_MODEL_S3_BUCKET: "models",
        LLMROUTER_MODEL_S3_KEY: "routers/",
        LLMROUTER_OUTBOUND_HOST_ALLOWLIST: "intranet.example",
        ROUTEIQ_DRAIN_TIMEOUT_SECONDS: "5",
      },
    );
    expect(told).toEqual([]);
    expect(config?.general).toEqual({
      masterKey: "sk-long-enough-master",
      adminApiKeys: ["one", "two", "three"],
      passThroughEndpoints: [],
      passThroughTimeoutMs: 600_000,
    });
    expect(config?.environment).toEqual({ OTEL_SERVICE_NAME: "gw", FLAG: "True" });
    expect(config?.routeiq.telemetry).toMatchObject({
      otlpEndpoint: "http://collector:4318",
      otlpHeaders: { authorization: "Bearer x" },
      serviceName: "gw",
    });
    expect(config?.router.routingStrategyArgs.model_path).toBe("s3://models/routers");
    expect(config?.routeiq.outbound.allowHosts).toEqual(["intranet.example"]);
    expect(config?.routeiq.drainMs).toBe(5000);
  });
});

describe("without a file", () => {
  test("well-known keys make providers", async () => {
    const { config, findings } = await load({ env: { ANTHROPIC_API_KEY: "sk-ant" } });
    expect(findings).toEqual([]);
    expect(config?.origin).toBe("environment");
    expect(config?.models.at(-1)).toMatchObject({
      modelName: "anthropic/*",
      params: { model: "anthropic/*", api_key: "sk-ant" },
    });
  });
  test("without a key either, the simulated providers answer", async () => {
    expect((await load({})).config).toMatchObject({ origin: "simulated", models: [], files: [] });
  });
  test("a named file must exist; the first name counts", async () => {
    const { config, findings } = await load({
      path: "gone.yaml",
      env: { ROUTEIQ_CONFIG: "/x.yaml" },
    });
    expect(config).toBeUndefined();
    expect(findings.map(brief)).toEqual([
      "error 0 : /app/gone.yaml (from --config) does not exist",
    ]);
  });
  test("LITELLM_CONFIG_PATH names it too", async () => {
    const given = { files: { "/etc/c.yaml": model }, env: { LITELLM_CONFIG_PATH: "/etc/c.yaml" } };
    expect((await load(given)).config?.files).toEqual(["/etc/c.yaml"]);
  });
});

describe("what is said of a wrong or doubtful file", () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    [
      "not YAML",
      "model_list:\n\t- a\n",
      ["error 2 : not valid YAML: Tabs are not allowed as indentation"],
    ],
    [
      "an open bracket",
      "model_list: [1, 2\nrouter_settings: {}\n",
      [
        "error 2 : not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]",
      ],
    ],
    ["a list at the top", "- a\n", ["error 0 : the file must be a map of keys"]],
    [
      "an empty file",
      "",
      ["warning 0 model_list: no models are configured, so every call is refused"],
    ],
    [
      "a row without a name",
      "model_list:\n  - litellm_params: {model: openai/a}\n",
      ["error 2 model_list[0].model_name: the row has no model_name"],
    ],
    [
      "a row without a model",
      "model_list:\n  - model_name: a\n    litellm_param: {model: openai/a}\n",
      [
        'warning 3 model_list[0].litellm_param: unknown key "litellm_param" in a row of model_list',
        "error 2 model_list[0].litellm_params: the row has no litellm_params.model",
      ],
    ],
    [
      "slips of the hand",
      `${model}router_setings: {}\nrouter_settings:\n  num_retrys: 3\n  wholly_other: 1\n`,
      [
        'warning 4 router_setings: unknown key "router_setings" at the top of the file',
        'warning 6 router_settings.num_retrys: unknown key "num_retrys" in router_settings',
        'warning 7 router_settings.wholly_other: unknown key "wholly_other" in router_settings',
      ],
    ],
    [
      "LiteLLM's keys that mean nothing here yet",
      `${model}prompts: {}\nrouter_settings: {redis_host: x}\ngeneral_settings: {database_url: x}\nlitellm_settings: {json_logs: true}\n`,
      [
        'warning 4 prompts: "prompts" is known to LiteLLM, not used by RouteIQ yet',
        'warning 7 litellm_settings.json_logs: "json_logs" is known to LiteLLM, not used by RouteIQ yet',
        'warning 5 router_settings.redis_host: "redis_host" is known to LiteLLM, not used by RouteIQ yet',
        'warning 6 general_settings.database_url: "database_url" is known to LiteLLM, not used by RouteIQ yet',
      ],
    ],
    [
      "values that do not fit",
      `${model}router_settings:\n  num_retries: many\n  retry_policy: {RateLimitErrorRetries: -1}\n  fallbacks: {a: [b]}\n` +
        "  routing_strategy_args: {tradeoff: 2, max_stale: soon, floor: '1.5@m'}\nrouteiq_settings:\n  upstream_protocol: http3\n  timeouts: {connect_ms: 0}\n  telemetry: on\n",
      [
        'error 5 router_settings.num_retries: num_retries must be a whole number from 0 to 100, not "many"',
        "error 6 router_settings.retry_policy.RateLimitErrorRetries: RateLimitErrorRetries must be a whole number from 0 to 100, not -1",
        'error 7 router_settings.fallbacks: fallbacks must be a list such as [{"gpt-4o": ["claude-sonnet"]}], not {"a":["b"]}',
        "error 8 router_settings.routing_strategy_args.tradeoff: tradeoff must be a number from 0 to 1, not 2",
        'error 8 router_settings.routing_strategy_args.max_stale: max_stale must be a length of time such as 7d, not "soon"',
        'error 8 router_settings.routing_strategy_args.floor: floor must be a share of a model\'s quality such as 0.95@openai/gpt-4o, not "1.5@m"',
        'error 10 routeiq_settings.upstream_protocol: upstream_protocol must be "http1" or "http2", not "http3"',
        "error 11 routeiq_settings.timeouts.connect_ms: connect_ms must be a whole number from 1 to 86400000, not 0",
        "error 12 routeiq_settings.telemetry: telemetry must be a map of keys, not true",
      ],
    ],
    [
      "a secret of the wrong type is not shown",
      "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, api_key: [sk-secret]}\n",
      ["error 3 model_list[0].litellm_params.api_key: api_key must be text, not this"],
    ],
    [
      "a key twice",
      `${model}router_settings: {num_retries: 1, num_retries: 2}\n`,
      [
        'warning 4 router_settings.num_retries: "num_retries" stands here twice; the later one holds',
      ],
    ],
    [
      "an unknown strategy",
      `${model}router_settings: {routing_strategy: leastbusy2}\n`,
      ['error 4 router_settings.routing_strategy: unknown routing_strategy "leastbusy2"'],
    ],
    [
      "a strategy of the predecessor that is not served",
      `${model}router_settings: {routing_strategy: llmrouter-elo}\n`,
      [
        'error 4 router_settings.routing_strategy: the strategy "llmrouter-elo" is not served by this version of RouteIQ',
      ],
    ],
    [
      "a balancer that is none",
      `${model}router_settings: {routing_strategy: llmrouter-smallest, routing_strategy_args: {balancer: knn}}\n`,
      ['error 4 router_settings.routing_strategy_args.balancer: "knn" is no balancer'],
    ],
    [
      "an inner strategy that is a balancer",
      `${model}router_settings: {routing_strategy: cost-aware, routing_strategy_args: {inner_strategy: least-busy, cost_weight: 0.5}}\n`,
      [],
    ],
    [
      "an inner strategy that is unknown",
      `${model}router_settings: {routing_strategy: cost-aware, routing_strategy_args: {inner_strategy: llmrouter-knm}}\n`,
      [
        'error 4 router_settings.routing_strategy_args.inner_strategy: "llmrouter-knm" cannot be the inner strategy of cost-aware',
      ],
    ],
    [
      "an inner strategy that is the outer one",
      `${model}router_settings: {routing_strategy: cost-aware, routing_strategy_args: {inner_strategy_name: cost-aware}}\n`,
      [
        'error 4 router_settings.routing_strategy_args.inner_strategy_name: "cost-aware" cannot be the inner strategy of cost-aware',
      ],
    ],
    [
      "an inner strategy that needs a trained router",
      `${model}router_settings: {routing_strategy: cost-aware, routing_strategy_args: {inner_strategy: llmrouter-knn}}\n`,
      [
        "warning 4 router_settings.routing_strategy_args.model_path: llmrouter-knn needs a trained router and there is no model_path; simple-shuffle serves until then",
      ],
    ],
    [
      "a learned strategy without a router",
      `${model}router_settings: {routing_strategy: llmrouter-mlp, routing_strategy_args: {fallback_strategy: least-busy}}\n`,
      [
        "warning 4 router_settings.routing_strategy_args.model_path: llmrouter-mlp needs a trained router and there is no model_path; least-busy serves until then",
      ],
    ],
    [
      "a learned strategy whose router is not there, or not verifiable",
      `${model}router_settings: {routing_strategy: llmrouter-mlp, routing_strategy_args: {model_path: /nowhere}}\n`,
      [
        "warning 4 router_settings.routing_strategy_args.model_path: /nowhere does not exist yet; simple-shuffle serves until then",
      ],
    ],
    [
      "no trust anchor",
      `${model}router_settings: {routing_strategy: llmrouter-mlp, routing_strategy_args: {model_path: /there}}\n`,
      [
        "warning 4 router_settings.routing_strategy_args.model_path: without model_root no router of /there can be verified; simple-shuffle serves until then",
      ],
    ],
    [
      "fallbacks and aliases to nowhere",
      `${model}router_settings:\n  fallbacks: [{gpt-4o: [gpt-4-o, claude]}]\n  model_group_alias: {a: b, b: a, c: gone}\n`,
      [
        'warning 5 router_settings.fallbacks[0].gpt-4o[1]: no model_name is "claude"',
        "error 6 router_settings.model_group_alias.a: the alias leads back to itself: a → b → a",
        "error 6 router_settings.model_group_alias.b: the alias leads back to itself: b → a → b",
        'warning 6 router_settings.model_group_alias.c: no model_name is "gone"',
      ].toSpliced(
        0,
        0,
        'warning 5 router_settings.fallbacks[0].gpt-4o[0]: no model_name is "gpt-4-o"',
      ),
    ],
    [
      "a wildcard reaches much",
      "model_list:\n  - model_name: openai/*\n    litellm_params: {model: openai/*, api_key: k}\nlitellm_settings:\n  fallbacks: [{openai/x: [openai/y, groq/z]}]\n",
      ['warning 5 litellm_settings.fallbacks[0].openai/x[1]: no model_name is "groq/z"'],
    ],
    [
      "rows twice, ids twice",
      `model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_key: k}}
  - {model_name: a, litellm_params: {model: openai/a, api_key: k}}
  - {model_name: a, litellm_params: {model: openai/b, api_key: k}, model_info: {id: x}}
  - {model_name: a, litellm_params: {model: openai/c, api_key: k}, model_info: {id: x}}
`,
      [
        'warning 3 model_list[1]: the same as row 0: "a" stands here twice',
        'error 5 model_list[3].model_info.id: model_info.id "x" is row 2\'s already',
      ],
    ],
    [
      "a missing variable",
      "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, api_key: os.environ/NOPE}\n",
      ["warning 3 model_list[0].litellm_params.api_key: the environment variable NOPE is not set"],
    ],
    [
      "a missing master key is refused: the door was meant to be locked",
      `${model}general_settings: {master_key: os.environ/NOPE}\n`,
      ["error 4 general_settings.master_key: the environment variable NOPE is not set"],
    ],
    [
      "a weak master key",
      `${model}general_settings: {master_key: sk-1234}\n`,
      ["warning 4 general_settings.master_key: the master key is easy to guess"],
    ],
    [
      "addresses that are none, or no place to go",
      `model_list:
  - model_name: a
    litellm_params: {model: openai/a, api_key: k, api_base: http://localhost:11434/v1}
  - model_name: b
    litellm_params: {model: openai/b, api_key: k, api_base: "http://169.254.169.254/v1"}
  - model_name: c
    litellm_params: {model: openai/c, api_key: k, api_base: localhost:8000}
routeiq_settings:
  cors_origins: ["https://app.example/", "https://ok.example", "app"]
  outbound: {allow_cidrs: [10.0.0.0/33]}
`,
      [
        "error 5 model_list[1].litellm_params.api_base: The address 169.254.169.254 is refused: it is a metadata service.",
        "error 7 model_list[2].litellm_params.api_base: The address localhost: is refused: only http and https are spoken, not localhost:.",
        'error 10 routeiq_settings.outbound.allow_cidrs[0]: "10.0.0.0/33" is no address range',
        'error 9 routeiq_settings.cors_origins[0]: "https://app.example/" is no origin, so no page could match it',
        'error 9 routeiq_settings.cors_origins[2]: "app" is no origin, so no page could match it',
      ],
    ],
    [
      "an include that is not there",
      `include: [gone.yaml]\n${model}`,
      ["error 1 include[0]: the included file /app/gone.yaml does not exist"],
    ],
    [
      "auto candidates to nowhere",
      `${model}routeiq_settings: {auto_models: {smart: {candidates: [gpt-4o, gpt4x]}}}\n`,
      ['warning 4 routeiq_settings.auto_models.smart.candidates[1]: no model_name is "gpt4x"'],
    ],
  ];
  test.each(cases)("%s", async (_name, yaml, told) => {
    const result = await check(yaml);
    expect(result.told).toEqual([...told]);
    expect(result.config === undefined).toBe(told.some((line) => line.startsWith("error")));
  });

  test("the remedy names what was meant", async () => {
    const { findings } = await load({
      files: { "/app/config.yaml": `${model}router_settings: {routing_strategy: llmrouter-kn}\n` },
    });
    expect(findings[0]?.remedy).toStartWith("Nearest: llmrouter-knn");
  });

  test("an alias bomb is refused", async () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `  l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`,
    );
    const { told } = await check(`x-bomb:\n  l0: &l0 [a]\n${levels.join("\n")}\n${model}`);
    expect(told[0]).toContain("not valid YAML: Excessive alias count");
  });

  test("secret files are read, and told when they are not there", async () => {
    const yaml = `model_list:
  - model_name: a
    litellm_params: {model: openai/a, api_key: file:///run/secrets/key}
  - model_name: b
    litellm_params: {model: openai/b, api_key: file:///run/secrets/none}
`;
    const { config, findings } = await load({
      files: { "/app/config.yaml": yaml, "/run/secrets/key": "sk-from-file\n" },
    });
    expect(config?.models[0]?.params).toEqual({ model: "openai/a", api_key: "sk-from-file" });
    expect(findings.map(brief)).toEqual([
      "warning 5 model_list[1].litellm_params.api_key: the file /run/secrets/none does not exist",
    ]);
  });
});
