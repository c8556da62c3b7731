/** Every secret store by its own API, and what configuration makes of it. */
import { describe, expect, test } from "bun:test";
import { loadConfig } from "../../config/load.ts";
import type { SecretSettings, SecretSystem } from "../../config/secret-store.ts";
import type { Outbound, OutboundRequest } from "../../security/outbound.ts";
import { systemClock } from "../../std/clock.ts";
import { secretStores } from "./registry.ts";

interface Store {
  readonly env: Readonly<Record<string, string>>;
  /** The answer to a request for the secret's name; undefined: not one of its requests. */
  readonly answer: (request: OutboundRequest, secrets: Secrets) => Response | undefined;
}

type Secrets = Readonly<Record<string, string>>;

const json = (body: unknown, status = 200) => Response.json(body, { status });
const found = (value: string | undefined, body: (value: string) => unknown) =>
  value === undefined ? json({}, 404) : json(body(value));

const stores: Readonly<Record<SecretSystem, Store>> = {
  aws_secret_manager: {
    env: { AWS_REGION_NAME: "eu-west-1", AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "sk" },
    answer({ url, headers, body }, secrets) {
      if (url !== "https://secretsmanager.eu-west-1.amazonaws.com/") return undefined;
      const signature = Object.entries(headers).find(([name]) =>
        /^authorization$/i.test(name),
      )?.[1];
      if (!signature?.includes("Credential=AKID/") || !signature.includes("/secretsmanager/")) {
        return json({ __type: "InvalidSignatureException" }, 400);
      }
      const value = secrets[JSON.parse(String(body)).SecretId];
      return value === undefined
        ? json({ __type: "com.amazonaws#ResourceNotFoundException" }, 400)
        : json({ SecretString: value });
    },
  },
  google_secret_manager: {
    env: { GOOGLE_SECRET_MANAGER_PROJECT_ID: "p", GCE_METADATA_HOST: "meta.test" },
    answer({ url, headers }, secrets) {
      if (url.startsWith("http://meta.test")) {
        const google = { headers: { "metadata-flavor": "Google" } };
        return Response.json({ access_token: "t", expires_in: 600 }, google);
      }
      const name =
        /^https:\/\/secretmanager\.googleapis\.com\/v1\/projects\/p\/secrets\/(.+)\/versions\/latest:access$/.exec(
          url,
        )?.[1];
      if (name === undefined || headers["authorization"] !== "Bearer t") return undefined;
      return found(secrets[name], (value) => ({ payload: { data: btoa(value) } }));
    },
  },
  azure_key_vault: {
    env: {
      AZURE_KEY_VAULT_URI: "https://v.vault.azure.net/",
      AZURE_TENANT_ID: "t",
      AZURE_CLIENT_ID: "c",
      AZURE_CLIENT_SECRET: "s",
    },
    answer({ url, headers }, secrets) {
      if (url.startsWith("https://login.microsoftonline.com/t/"))
        return json({ access_token: "t" });
      const name = /^https:\/\/v\.vault\.azure\.net\/secrets\/([A-Z-]+)\?api-version=7\.4$/.exec(
        url,
      )?.[1];
      if (name === undefined || headers["authorization"] !== "Bearer t") return undefined;
      return found(secrets[name.replaceAll("-", "_")], (value) => ({ value }));
    },
  },
  hashicorp_vault: {
    env: {
      HCP_VAULT_ADDR: "https://vault.test",
      HCP_VAULT_NAMESPACE: "team/a",
      HCP_VAULT_PATH_PREFIX: "gateway",
      HCP_VAULT_APPROLE_ROLE_ID: "r",
      HCP_VAULT_APPROLE_SECRET_ID: "s",
    },
    answer({ url, headers }, secrets) {
      const base = "https://vault.test/v1/team/a/";
      if (url === `${base}auth/approle/login`) return json({ auth: { client_token: "t" } });
      if (!url.startsWith(`${base}secret/data/gateway/`) || headers["x-vault-token"] !== "t") {
        return undefined;
      }
      return found(secrets[url.split("/").at(-1) ?? ""], (key) => ({ data: { data: { key } } }));
    },
  },
};

function openWith(system: SecretSystem, secrets: Secrets, asked: string[] = []) {
  const outbound: Outbound = {
    async fetch(request) {
      asked.push(request.url);
      return stores[system].answer(request, secrets) ?? json({ error: { code: 403 } }, 403);
    },
  };
  return (settings: SecretSettings) =>
    secretStores[settings.system](settings, {
      env: settings.env,
      outbound,
      clock: systemClock,
      readText: () => Promise.reject(new Error("no file")),
    });
}

const yaml = (system: string, more = "") =>
  `model_list:
  - {model_name: m, litellm_params: {model: openai/a, api_key: os.environ/OPENAI_KEY}}
general_settings:
  master_key: os.environ/MASTER_KEY
  key_management_system: ${system}
${more}`;

const load = (
  text: string,
  env: Readonly<Record<string, string>>,
  open?: ReturnType<typeof openWith>,
) =>
  loadConfig({
    path: "config.yaml",
    cwd: "/",
    env,
    readText: async (path) => (path.endsWith("config.yaml") ? text : undefined),
    ...(open ? { openSecretStore: open } : {}),
  });

const kept = { OPENAI_KEY: "sk-kept", MASTER_KEY: "sk-master" };

describe.each(Object.keys(stores) as SecretSystem[])("%s", (system) => {
  const { env } = stores[system];

  test("keys come from it, above the environment", async () => {
    const it = await load(yaml(system), { ...env, OPENAI_KEY: "env" }, openWith(system, kept));
    expect(it.config?.models[0]?.params["api_key"]).toBe("sk-kept");
    expect(it.config?.general.masterKey).toBe("sk-master");
    expect(it.findings).toEqual([]);
  });

  test("what it does not hold, the environment does", async () => {
    const it = await load(
      yaml(system),
      { ...env, OPENAI_KEY: "env" },
      openWith(system, { MASTER_KEY: "sk-master" }),
    );
    expect(it.config?.models[0]?.params["api_key"]).toBe("env");
    expect(it.findings).toEqual([]);
  });

  test("without what it needs it is refused, by name", async () => {
    const [first] = Object.keys(env);
    const { config, findings } = await load(yaml(system), {}, openWith(system, kept));
    expect(config).toBeUndefined();
    expect(findings.find(({ level }) => level === "error")?.message).toContain(String(first));
  });

  test("a refusal is told, and nothing secret", async () => {
    const open = openWith(system, kept);
    const locked = (settings: SecretSettings) => {
      const read = open(settings);
      return (name: string) => read(name === "OPENAI_KEY" ? "../../x y" : name);
    };
    const it = await load(yaml(system), { ...env, OPENAI_KEY: "env" }, locked);
    expect(it.config?.models[0]?.params["api_key"]).toBe("env");
    expect(JSON.stringify(it.findings)).not.toContain("sk-");
  });
});

test("of hosted_keys alone, and each once", async () => {
  const asked: string[] = [];
  const system = "hashicorp_vault";
  const twice = yaml(system, "  key_management_settings: {hosted_keys: [OPENAI_KEY]}\n").replace(
    "general_settings:",
    "  - {model_name: n, litellm_params: {model: openai/a, api_key: os.environ/OPENAI_KEY}}\ngeneral_settings:",
  );
  const env = { ...stores[system].env, MASTER_KEY: "from-env" };
  const it = await load(twice, env, openWith(system, kept, asked));
  expect(it.config?.general.masterKey).toBe("from-env");
  expect(asked.filter((url) => url.includes("/data/"))).toHaveLength(1);
});

test("AWS keeps many in one", async () => {
  const system = "aws_secret_manager";
  const more = "  key_management_settings: {primary_secret_name: all}\n";
  const it = await load(
    yaml(system, more),
    stores[system].env,
    openWith(system, { all: JSON.stringify(kept) }),
  );
  expect(it.config?.models[0]?.params["api_key"]).toBe("sk-kept");
});

test.each([
  ["cyberark", "is not served by RouteIQ"],
  ["aws_secret_manger", "there is no secret store"],
])("%s", async (system, message) => {
  const { config, findings } = await load(yaml(system), {}, openWith("hashicorp_vault", kept));
  expect(config).toBeUndefined();
  expect(findings.map((finding) => finding.message).join()).toContain(message);
});
