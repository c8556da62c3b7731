/**
 * Files embedded in the binary: `import path from "….wasm" with { type: "file" }` gives a path that
 * readFileSync opens, from source and inside a compiled executable alike.
 */
declare module "*.wasm" {
  const path: string;
  // biome-ignore lint/style/noDefaultExport: the form of a file import is Bun's
  export default path;
}
declare module "*.safetensors" {
  const path: string;
  // biome-ignore lint/style/noDefaultExport: the form of a file import is Bun's
  export default path;
}

declare module "@jitl/quickjs-wasmfile-release-sync/wasm" {
  const path: string;
  // biome-ignore lint/style/noDefaultExport: the form of a file import is Bun's
  export default path;
}
