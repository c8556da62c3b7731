/** Parts of `routeiq_settings`: how calls live through overload, faults and repetition. */
import { Type } from "@sinclair/typebox";

export const ConcurrencySettings = Type.Object(
  {
    adaptive: Type.Boolean({
      default: false,
      description:
        "Learn for each deployment how many calls it can have at once, from the time to its first token.",
    }),
    initial_limit: Type.Integer({
      default: 32,
      minimum: 1,
      maximum: 100_000,
      description: "Where a learnt limit begins.",
    }),
    min_limit: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 100_000,
      description: "A learnt limit is never lower.",
    }),
    max_limit: Type.Integer({
      default: 1_000,
      minimum: 1,
      maximum: 100_000,
      description: "A learnt limit is never higher.",
    }),
    tolerance: Type.Number({
      default: 2,
      exclusiveMinimum: 1,
      maximum: 100,
      description: "How many times slower than when it is not busy a first token may come.",
    }),
    max_calls: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          "Calls in the gateway at once. Default: general_settings.max_in_flight_requests_per_worker, else ROUTEIQ_MAX_CONCURRENT_REQUESTS, else as many as come.",
      }),
    ),
    max_queued: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100_000,
        description:
          "Calls that wait where all deployments that could serve them, or the gateway, are at their limits; the lowest priority is sent away first. Default: general_settings.max_queued_requests_per_worker, else 1000 with `adaptive` or `max_calls`, else 0: refused at once (429).",
      }),
    ),
    max_wait_ms: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 3_600_000,
        description:
          "How long a call waits before it is sent away (503). Milliseconds. Default: general_settings.admission_queue_timeout_seconds, else 10000.",
      }),
    ),
    default_priority: Type.Optional(
      Type.Integer({
        description:
          "Priority of a call that names none by `priority` in the body, `x-routeiq-priority` or `x-litellm-priority`. Lower is sooner. Default: router_settings.default_priority, else 100.",
      }),
    ),
  },
  {
    default: {},
    description: "Limits of calls at once, and the queue before them. Off unless set.",
  },
);

export const HedgingSettings = Type.Object(
  {
    enabled: Type.Boolean({
      default: false,
      description:
        "Ask a second deployment beside a first one that is slow to begin. The first answer counts, the other attempt is let go; both are paid for.",
    }),
    after_ms: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 3_600_000,
        description:
          "How long to wait for the first. Milliseconds. Default: learnt from its last answers.",
      }),
    ),
    quantile: Type.Number({
      default: 0.95,
      minimum: 0.5,
      maximum: 0.999,
      description: "The learnt wait: within it this share of a deployment's answers begin.",
    }),
    min_delay_ms: Type.Integer({
      default: 100,
      minimum: 1,
      maximum: 3_600_000,
      description: "A learnt wait is never shorter. Milliseconds.",
    }),
    budget_share: Type.Number({
      default: 0.05,
      minimum: 0,
      maximum: 1,
      description: "Hedges per call, over all calls; they count as retries, too.",
    }),
  },
  {
    default: {},
    description: "A second attempt beside a slow first one, before its first byte.",
  },
);

export const ContinuationSettings = Type.Object(
  {
    enabled: Type.Boolean({
      default: false,
      description:
        "Let a stream that breaks off after its first byte go on from another deployment that takes the answer's beginning (`model_info.supports_assistant_prefill` stands above what is known of providers). Text alone: no tool calls, no thinking, no JSON schema. A comment in the stream and the receipt tell of it.",
    }),
    max_times: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 10,
      description: "How often one stream may go on.",
    }),
    max_text_chars: Type.Integer({
      default: 100_000,
      minimum: 1,
      description: "A longer beginning is not sent along: the stream ends with an error then.",
    }),
  },
  {
    default: {},
    description:
      "Failover after the first byte. Streams that may need it are encoded anew instead of passing byte for byte.",
  },
);

export const IdempotencySettings = Type.Object(
  {
    enabled: Type.Boolean({
      default: true,
      description:
        "Answer a request that is sent again with the same `Idempotency-Key` by the run under way or the kept reply.",
    }),
    keep_seconds: Type.Integer({
      default: 600,
      minimum: 1,
      maximum: 86_400,
      description: "How long a reply is kept.",
    }),
    max_entries: Type.Integer({
      default: 10_000,
      minimum: 1,
      maximum: 1_000_000,
      description: "Keys, running and kept. The oldest replies make room.",
    }),
    max_bytes: Type.Integer({
      default: 67_108_864,
      minimum: 65_536,
      description: "Bytes that kept replies may fill.",
    }),
    max_reply_bytes: Type.Integer({
      default: 4_194_304,
      minimum: 1024,
      description: "A longer reply is not kept.",
    }),
    linger_ms: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 600_000,
      description:
        "How long a call goes on after its caller hung up, so that a retry finds it; it is paid for either way. Milliseconds.",
    }),
  },
  {
    default: {},
    description: "Requests that carry an `Idempotency-Key`. All others pay nothing for it.",
  },
);
