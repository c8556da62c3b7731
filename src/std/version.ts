/** The product's version, from package.json, bundled into the binary. */
import manifest from "../../package.json" with { type: "json" };

export const version: string = manifest.version;
