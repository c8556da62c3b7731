/** `credential_list`: what several deployments share. Key names are LiteLLM's. */
import { Type } from "@sinclair/typebox";

export const CredentialRow = Type.Object({
  credential_name: Type.String({
    minLength: 1,
    expected: "a name",
    description: "What `litellm_params.litellm_credential_name` says.",
  }),
  credential_values: Type.Record(Type.String(), Type.Unknown(), {
    expected: "a map such as {api_key: os.environ/NAME}",
    description: "`litellm_params` that stand where a row has none of its own.",
  }),
  credential_info: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: "For people. Its `custom_llm_provider` counts as one of the values.",
    }),
  ),
});
