/**
 * ONNX files, read: the graph of a model, checked before anything runs it. Here rather than beside
 * the runtime (embedding/onnx-runtime.ts), so that artifacts and strategies can judge a file too.
 * Source: onnx/onnx.proto, IR version 8; field numbers are quoted where they are read.
 */
import { GatewayError } from "../domain/errors.ts";
import { readFields, readInts } from "../std/protobuf.ts";

export interface OnnxTensor {
  readonly dims: readonly number[];
  /** TensorProto.DataType: 1 float, 7 int64 … */
  readonly dataType: number;
  /** Values of a float tensor; throws for another type. */
  floats(): Float32Array;
}

export interface OnnxAttribute {
  readonly float?: number;
  readonly int?: number;
}

export interface OnnxNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

export interface OnnxModel {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  /** Names of what a run must be fed: inputs that are not initializers. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface OnnxLimits {
  readonly maxBytes: number;
  /** Operators of `com.microsoft` too: in an operator's own file, never in an artifact. */
  readonly contributed?: boolean;
}

const maxNodes = 20_000;

/**
 * Reads and judges a model. It may hold data and standard operators (the domains ai.onnx and
 * ai.onnx.ml), nothing else: no file outside, no function of its own, no graph inside a node.
 * @throws GatewayError artifact_refused, which says what is wrong.
 */
export function readOnnx(bytes: Uint8Array, limits: OnnxLimits): OnnxModel {
  if (bytes.length > limits.maxBytes) {
    refuse(`it has ${bytes.length} bytes, over the limit of ${limits.maxBytes}`);
  }
  try {
    return readModel(bytes, limits);
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    return refuse("it is not an ONNX file, or is cut short", thrown);
  }
}

function refuse(reason: string, cause?: unknown): never {
  throw new GatewayError("artifact_refused", `ONNX model refused: ${reason}.`, { cause });
}

function readModel(bytes: Uint8Array, limits: OnnxLimits): OnnxModel {
  let graph: Uint8Array | undefined;
  for (const { number, value } of readFields(bytes)) {
    if (number === 7) graph = toBytes(value); // graph
    if (number === 8) checkDomain(readOpsetDomain(toBytes(value)), limits); // opset_import
    if (number === 25) refuse("it defines functions of its own");
  }
  if (!graph) return refuse("it has no graph");
  const model = readGraph(graph);
  if (model.nodes.length > maxNodes) refuse(`it has over ${maxNodes} nodes`);
  for (const node of model.nodes) checkDomain(node.domain, limits);
  if (model.nodes.length === 0 || model.outputs.length === 0) refuse("its graph is empty");
  return model;
}

const standardDomains = new Set(["", "ai.onnx", "ai.onnx.ml"]);

function checkDomain(domain: string, { contributed }: OnnxLimits): void {
  if (standardDomains.has(domain)) return;
  if (contributed && domain.startsWith("com.microsoft")) return;
  refuse(`it uses operators of "${domain.slice(0, 60)}", which are not standard`);
}

function readOpsetDomain(bytes: Uint8Array): string {
  for (const { number, value } of readFields(bytes)) if (number === 1) return toText(value);
  return "";
}

function readGraph(bytes: Uint8Array): OnnxModel {
  const nodes: OnnxNode[] = [];
  const initializers = new Map<string, OnnxTensor>();
  const inputs: string[] = [];
  const outputs: string[] = [];
  for (const { number, value } of readFields(bytes)) {
    if (number === 1) nodes.push(readNode(toBytes(value)));
    if (number === 5) {
      const { name, tensor } = readTensor(toBytes(value));
      initializers.set(name, tensor);
    }
    if (number === 15) refuse("it holds a sparse tensor");
    if (number === 11) inputs.push(readValueName(toBytes(value)));
    if (number === 12) outputs.push(readValueName(toBytes(value)));
  }
  return {
    nodes,
    initializers,
    inputs: inputs.filter((name) => !initializers.has(name)),
    outputs,
  };
}

function readNode(bytes: Uint8Array): OnnxNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, OnnxAttribute>();
  let op = "";
  let domain = "";
  for (const { number, value } of readFields(bytes)) {
    if (number === 1) inputs.push(toText(value));
    if (number === 2) outputs.push(toText(value));
    if (number === 4) op = toText(value);
    if (number === 5) readAttribute(toBytes(value), attributes);
    if (number === 7) domain = toText(value);
  }
  return { op, domain, inputs, outputs, attributes };
}

function readAttribute(bytes: Uint8Array, into: Map<string, OnnxAttribute>): void {
  let name = "";
  let attribute: OnnxAttribute = {};
  for (const { number, value } of readFields(bytes)) {
    if (number === 1) name = toText(value);
    if (number === 2) attribute = { float: readFloat(toBytes(value)) };
    if (number === 3) attribute = { int: toInt(value) };
    if (number === 5 || number === 10) readTensor(toBytes(value)); // t, tensors: checked as others
    if (number === 6 || number === 11) refuse("a node holds a graph (a loop or a branch)");
    if (number === 22 || number === 23) refuse("a node holds a sparse tensor");
  }
  into.set(name, attribute);
}

function readTensor(bytes: Uint8Array): { name: string; tensor: OnnxTensor } {
  const dims: number[] = [];
  const listed: Uint8Array[] = [];
  let name = "";
  let dataType = 0;
  let raw: Uint8Array | undefined;
  for (const { number, value } of readFields(bytes)) {
    if (number === 1) dims.push(...readInts(value).map(Number));
    if (number === 2) dataType = toInt(value);
    if (number === 4) listed.push(toBytes(value)); // float_data, packed or one by one
    if (number === 8) name = toText(value);
    if (number === 9) raw = toBytes(value);
    if (number === 13 || (number === 14 && toInt(value) !== 0)) refuse("its data lies outside");
  }
  const floats = () => {
    if (dataType !== 1) refuse(`${name.slice(0, 60)} is not of single-precision floats`);
    const data = raw ?? Buffer.concat(listed);
    const length = dims.reduce((product, dim) => product * dim, 1);
    if (data.length !== length * 4) refuse(`${name.slice(0, 60)} has not the size of its shape`);
    return new Float32Array(new Uint8Array(data).buffer);
  };
  return { name, tensor: { dims, dataType, floats } };
}

function readValueName(bytes: Uint8Array): string {
  for (const { number, value } of readFields(bytes)) if (number === 1) return toText(value);
  return "";
}

function toBytes(value: bigint | Uint8Array): Uint8Array {
  if (typeof value === "bigint") return refuse("a field has the wrong type");
  return value;
}

function toText(value: bigint | Uint8Array): string {
  return new TextDecoder().decode(toBytes(value));
}

function toInt(value: bigint | Uint8Array): number {
  if (typeof value !== "bigint") return refuse("a field has the wrong type");
  return Number(BigInt.asIntN(64, value));
}

function readFloat(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getFloat32(0, true);
}
