/** Python's runtime for skills: which it is, file by file. Written by scripts/python-runtime.ts. */

export const runtimeVersion = "314.0.7";
export const archiveName = "pyodide-314.0.7.tar.zst";
/** Where npm keeps the package; anything that holds the same files will do. */
export const packageUrl = "https://registry.npmjs.org/pyodide/-/pyodide-314.0.7.tgz";

export interface RuntimeFile {
  readonly bytes: number;
  readonly sha256: string;
}

export const runtimeFiles: Readonly<Record<string, RuntimeFile>> = {
  "package.json": {
    bytes: 2_999,
    sha256: "40ca48e43ce4ddc68412d5b7a7ca9e2477cd4f0e672277ae468ac2245717079b",
  },
  "pyodide-lock.json": {
    bytes: 119_077,
    sha256: "5dc2fc119108bc148c7457dc86e7675b5c87e1cafd420b9c34c1eaef7b36c010",
  },
  "pyodide.asm.mjs": {
    bytes: 1_250_344,
    sha256: "f7cdc8ece80678ceb712f8e65ebe6d3a83203a180c399865f49612a051693635",
  },
  "pyodide.asm.wasm": {
    bytes: 9_598_218,
    sha256: "cc36e3cab04fdfc9a63ff13eb52eae2b911bf46c025cc7b281f394bd3de1d5e6",
  },
  "pyodide.mjs": {
    bytes: 17_931,
    sha256: "6f1d60f7bf529beb300f0f47983c921d3982363640ba20af0e38efdddbc66109",
  },
  "python_stdlib.zip": {
    bytes: 2_545_637,
    sha256: "fa1957e5777068fc4f7437f96d860ae2fbe9c19732ba06c84e004ec16dd7dd7a",
  },
};
