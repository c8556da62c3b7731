/** The content of the conformance suite's fixture, whichever revision it is served in. */
import { isObject, type JsonObject } from "../../src/domain/json.ts";

const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
const image = { type: "image", data: png, mimeType: "image/png" };
const embedded = (uri: string) => ({
  type: "resource",
  resource: { uri, mimeType: "text/plain", text: "This is an embedded resource content." },
});
export const text = (value: string) => ({ type: "text", text: value });

const plain: Readonly<Record<string, readonly object[]>> = {
  test_simple_text: [text("This is a simple text response for testing.")],
  test_image_content: [image],
  test_audio_content: [{ type: "audio", data: wav, mimeType: "audio/wav" }],
  test_embedded_resource: [embedded("test://embedded-resource")],
  test_multiple_content_types: [
    text("Multiple content types test:"),
    image,
    {
      type: "resource",
      resource: {
        uri: "test://mixed-content-resource",
        mimeType: "application/json",
        text: '{"test":"data","value":123}',
      },
    },
  ],
};

const object = { type: "object", properties: {} };
const withPrompt = { type: "object", properties: { prompt: { type: "string" } } };
const withMessage = { type: "object", properties: { message: { type: "string" } } };
const schemas: Readonly<Record<string, object>> = {
  test_param_headers: {
    type: "object",
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      count: { type: "integer", "x-mcp-header": "Count" },
    },
  },
  test_sampling: withPrompt,
  test_elicitation: withMessage,
  json_schema_2020_12_tool: {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    $defs: {
      address: {
        $anchor: "addressDef",
        type: "object",
        properties: { street: { type: "string" }, city: { type: "string" } },
      },
    },
    properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
    allOf: [{ anyOf: [{ required: ["name"] }, { required: ["address"] }] }],
    if: { required: ["name"] },
    // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
    then: { properties: { name: { minLength: 1 } } },
    else: { required: ["address"] },
    additionalProperties: false,
  },
};
const toolNames = [
  ...Object.keys(plain),
  "test_tool_with_logging",
  "test_error_handling",
  "test_tool_with_progress",
  "test_sampling",
  "test_elicitation",
  "test_elicitation_sep1034_defaults",
  "test_elicitation_sep1330_enums",
  "test_reconnection",
  "test_param_headers",
  "json_schema_2020_12_tool",
];

const prompts: Readonly<Record<string, (args: Readonly<Record<string, string>>) => object[]>> = {
  test_simple_prompt: () => [text("This is a simple prompt for testing.")],
  test_prompt_with_arguments: ({ arg1, arg2 }) => [
    text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
  ],
  test_prompt_with_embedded_resource: ({ resourceUri = "" }) => [
    embedded(resourceUri),
    text("Please process the embedded resource above."),
  ],
  test_prompt_with_image: () => [image, text("Please analyze the image above.")],
};
const promptArguments: Readonly<Record<string, readonly string[]>> = {
  test_prompt_with_arguments: ["arg1", "arg2"],
  test_prompt_with_embedded_resource: ["resourceUri"],
};

/** @throws Error, where there is none */
export function readResource(uri: string): JsonObject {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id) {
    const value = { id, templateTest: true, data: `Data for ID: ${id}` };
    return { uri, mimeType: "application/json", text: JSON.stringify(value) };
  }
  if (uri === "test://static-binary") return { uri, mimeType: "image/png", blob: png };
  if (uri.includes("nonexistent")) throw new Error("Resource not found");
  return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." };
}

/** What of the tools answers at once, and the same to everybody; undefined for the others. */
export function plainTool(name: string): JsonObject | undefined {
  if (plain[name]) return { content: plain[name] } as unknown as JsonObject;
  if (name === "test_error_handling") {
    const content = [text("This tool intentionally returns an error for testing")];
    return { content, isError: true };
  }
  return toolNames.includes(name) ? { content: [text(`called ${name}`)] } : undefined;
}

export function promptMessages(name: string, args: unknown) {
  const given = isObject(args) ? (args as Readonly<Record<string, string>>) : {};
  return (prompts[name]?.(given) ?? []).map((content) => ({ role: "user", content })) as never;
}

export const completionOf = (value: string) => ({
  completion: { values: [`${value}aris`], total: 1, hasMore: false },
});

/** `more`: tools beside those that every revision has. */
export function fixtureLists(more: readonly string[] = []) {
  const tools = [...toolNames, ...more].map((name) => ({
    name,
    description: `The suite's ${name}`,
    inputSchema: (schemas[name] ?? object) as { type: "object" },
  }));
  const prompted = Object.keys(prompts).map((name) => ({
    name,
    description: `The suite's ${name}`,
    arguments: (promptArguments[name] ?? []).map((arg) => ({ name: arg, required: true })),
  }));
  const resources = ["test://static-text", "test://static-binary", "test://watched-resource"].map(
    (uri) => ({ uri, name: uri.slice(7), description: "The suite's", mimeType: "text/plain" }),
  );
  const resourceTemplates = [{ uriTemplate: "test://template/{id}/data", name: "template" }];
  return { tools, prompts: prompted, resources, resourceTemplates };
}
