/**
 * A real, tiny language model behind OpenAI's chat API, for the tests: run by Node, as llama.cpp's
 * binding is made for it. Writes the port that it listens on, and ends with its standard input.
 * Usage: node llama-server.mjs MODEL.gguf PATH/TO/node-llama-cpp/dist/index.js
 */
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [modelPath, binding] = process.argv.slice(2);
const { getLlama } = await import(pathToFileURL(binding).href);
const llama = await getLlama({ gpu: false, build: "never", logLevel: "disabled" });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: 256, threads: 1 });
const sequence = context.getSequence();

/** One answer at a time: the model is small, and so is its patience. */
let turn = Promise.resolve();

const server = createServer((request, response) => {
  turn = turn.then(() => answer(request, response)).catch((error) => fail(response, error));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();

function fail(response, error) {
  if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: { message: String(error) } }));
}

async function answer(request, response) {
  let text = "";
  for await (const piece of request) text += piece;
  const { messages, max_tokens: limit = 24, stream } = JSON.parse(text);
  const prompt = model.tokenize(messages.map(({ content }) => content).join("\n"));
  await sequence.clearHistory();
  const head = {
    id: "chatcmpl-llama",
    created: Math.floor(Date.now() / 1000),
    model: "stories260K",
  };
  const send = (choice, more = {}) => {
    const chunk = { ...head, object: "chat.completion.chunk", choices: [choice], ...more };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  if (stream) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    send({ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null });
  }
  const tokens = [];
  let said = "";
  for await (const token of sequence.evaluate(prompt, { temperature: 0 })) {
    if (model.isEogToken(token)) break;
    tokens.push(token);
    const whole = model.detokenize(tokens);
    const content = whole.slice(said.length);
    said = whole;
    if (stream) send({ index: 0, delta: { content }, finish_reason: null });
    if (tokens.length >= limit) break;
  }
  const finish_reason = tokens.length >= limit ? "length" : "stop";
  const usage = {
    prompt_tokens: prompt.length,
    completion_tokens: tokens.length,
    total_tokens: prompt.length + tokens.length,
  };
  if (!stream) {
    const message = { role: "assistant", content: said };
    const choices = [{ index: 0, message, finish_reason }];
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ ...head, object: "chat.completion", choices, usage }));
    return;
  }
  send({ index: 0, delta: {}, finish_reason }, { usage });
  response.end("data: [DONE]\n\n");
}
