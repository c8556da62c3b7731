/** Words of revision 2026-07-28 that both sides of the gateway use. */
export const statelessVersion = "2026-07-28";
export const versionKey = "io.modelcontextprotocol/protocolVersion";
export const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
export const clientKey = "io.modelcontextprotocol/clientInfo";
export const serverKey = "io.modelcontextprotocol/serverInfo";
