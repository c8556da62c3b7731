/** `npm run gen`: writes the documents that come from code. A test fails when they differ. */
import { join } from "node:path";
import { generateDocs } from "./docs.ts";
import { root } from "./run.ts";

for (const [path, text] of Object.entries(await generateDocs())) {
  await Bun.write(join(root, path), text);
  console.log(path);
}
