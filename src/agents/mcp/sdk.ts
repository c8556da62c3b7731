/**
 * Of the protocol's SDK what is used here: one module, so that the binary holds it once, compressed,
 * and unpacks it when the first MCP request comes (scripts/build.ts).
 */

export {
  auth,
  extractWWWAuthenticateParams,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  UnauthorizedError,
} from "@modelcontextprotocol/sdk/client/auth.js";
export { ClientCredentialsProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
export { Client } from "@modelcontextprotocol/sdk/client/index.js";
export { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
export { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
export {
  StreamableHTTPClientTransport,
  StreamableHTTPError,
} from "@modelcontextprotocol/sdk/client/streamableHttp.js";
export { Server } from "@modelcontextprotocol/sdk/server/index.js";
export {
  type EventStore,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
export type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from "@modelcontextprotocol/sdk/shared/auth.js";
export type { FetchLike, Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
export {
  type ClientCapabilities,
  ErrorCode,
  type JSONRPCMessage,
  JSONRPCMessageSchema,
  LATEST_PROTOCOL_VERSION,
  McpError,
  PromptSchema,
  ResourceSchema,
  ResourceTemplateSchema,
  ResultSchema,
  type ServerCapabilities,
  ToolSchema,
} from "@modelcontextprotocol/sdk/types.js";
