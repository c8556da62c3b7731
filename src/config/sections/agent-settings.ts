/** `routeiq_settings.a2a`: limits of the agents that the gateway serves. */
import { Type } from "@sinclair/typebox";

const optionalWhole = (description: string, most: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: most, description }));

export const AgentSettings = Type.Object(
  {
    base_url: Type.Optional(
      Type.String({
        description:
          "The gateway's address as agents' clients see it; cards name it, and are signed where it " +
          "is set. Default: A2A_BASE_URL, else what the request for the card was sent to.",
      }),
    ),
    card_key: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The key that signs cards: PEM, P-256 or Ed25519, best as a reference (os.environ/…). Default: one that is made in the data folder.",
      }),
    ),
    task_ttl_s: optionalWhole(
      "How long a task is kept after it last changed. Seconds. Default: A2A_TASK_TTL_SECONDS, else 3600.",
      31_536_000,
    ),
    max_tasks: optionalWhole(
      "Tasks that are kept, of all agents. Default: A2A_TASK_STORE_MAX_TASKS, else 10000.",
      1_000_000,
    ),
    max_tasks_per_caller: optionalWhole(
      "Tasks that are kept for one caller (a key), so that none fills the store. Default: half of max_tasks.",
      1_000_000,
    ),
    tasks_per_minute: optionalWhole(
      "New tasks of one agent a minute, in one process. Default: A2A_TASK_RATE_LIMIT, else 100.",
      1_000_000,
    ),
    max_running: Type.Integer({
      default: 256,
      minimum: 1,
      maximum: 10_000,
      description: "Messages being answered at once, in one process.",
    }),
    max_running_per_caller: optionalWhole(
      "Messages of one caller (a key) being answered at once. Default: half of max_running.",
      10_000,
    ),
    run_ms: Type.Integer({
      default: 600_000,
      minimum: 1_000,
      description: "What the answer to one message may take before its task fails. Milliseconds.",
    }),
  },
  {
    default: {},
    description: "A2A: agents by one protocol, over the gateway's models and others.",
  },
);
