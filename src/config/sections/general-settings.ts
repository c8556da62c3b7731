/** `general_settings`: the gateway as a server. Key names are LiteLLM's. */
import { Type } from "@sinclair/typebox";

export const GeneralSettings = Type.Object(
  {
    master_key: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The key of the administrator; a reference, best. Default: LITELLM_MASTER_KEY. Without one, " +
          "callers on loopback need no key, and any wider address is refused at start.",
      }),
    ),
    max_request_size_mb: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1024,
        description: "Limit of a request's body in MiB; 413 above it.",
      }),
    ),
  },
  { description: "The gateway as a server." },
);
