/**
 * Whether a value fits a JSON Schema: the vocabulary that providers' structured output and tools use.
 * Source: JSON Schema 2020-12, validation vocabulary. What is not listed here constrains nothing, as
 * the standard wants of words a reader does not know; `$ref` leads inside the schema alone.
 */

/** Nesting of values and references; a schema that refers to itself ends here. */
export const schemaDepthLimit = 64;
/** Checks of one value; a schema that multiplies its branches ends here, and counts as fitting. */
export const schemaStepLimit = 50_000;

interface Walk {
  readonly root: unknown;
  steps: number;
}

/**
 * The first mismatch in words, with its place; undefined where the value fits.
 * Cost: linear in value and schema, and at most `schemaStepLimit` checks.
 */
export function findMismatch(value: unknown, schema: unknown): string | undefined {
  return check(value, schema, "$", 0, { root: schema, steps: 0 });
}

type Schema = Readonly<Record<string, unknown>>;

function check(
  value: unknown,
  schema: unknown,
  at: string,
  depth: number,
  walk: Walk,
): string | undefined {
  if (schema === false) return `${at} is not allowed`;
  if (!isRecord(schema) || depth > schemaDepthLimit || ++walk.steps > schemaStepLimit) {
    return undefined;
  }
  const inner: Inner = (of, by, place = at) => check(of, by, place, depth + 1, walk);
  return (
    checkReference(value, schema, walk.root, inner) ??
    checkType(value, schema, at) ??
    checkEqual(value, schema, at) ??
    checkCombined(value, schema, at, inner) ??
    checkText(value, schema, at) ??
    checkNumber(value, schema, at) ??
    checkList(value, schema, at, inner) ??
    checkObject(value, schema, at, inner)
  );
}

type Inner = (value: unknown, schema: unknown, at?: string) => string | undefined;

function checkReference(value: unknown, { $ref }: Schema, root: unknown, inner: Inner) {
  if (typeof $ref !== "string" || !$ref.startsWith("#")) return undefined;
  let target = root;
  for (const step of $ref.slice(1).split("/").slice(1)) {
    const key = decodeStep(step);
    target = isRecord(target) && Object.hasOwn(target, key) ? target[key] : undefined;
  }
  return target === undefined ? undefined : inner(value, target);
}

/** JSON Pointer, RFC 6901 §3 and §6. */
function decodeStep(step: string): string {
  try {
    return decodeURIComponent(step).replace(/~1/g, "/").replace(/~0/g, "~");
  } catch {
    return step; // no escape, only a percent sign
  }
}

function checkType(value: unknown, { type, nullable }: Schema, at: string) {
  if (type === undefined || (nullable === true && value === null)) return undefined;
  const wanted = Array.isArray(type) ? type : [type];
  if (wanted.some((each) => hasType(value, each))) return undefined;
  return `${at} should be ${wanted.join(" or ")}`;
}

function hasType(value: unknown, type: unknown): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isRecord(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

function checkEqual(value: unknown, schema: Schema, at: string) {
  if (Array.isArray(schema["enum"]) && !schema["enum"].some((each) => equal(each, value))) {
    return `${at} is none of the values allowed`;
  }
  if ("const" in schema && !equal(schema["const"], value)) return `${at} is not the value wanted`;
  return undefined;
}

function equal(a: unknown, b: unknown): boolean {
  return Bun.deepEquals(a, b);
}

function checkCombined(value: unknown, schema: Schema, at: string, inner: Inner) {
  const { allOf, anyOf, oneOf, not } = schema;
  for (const each of Array.isArray(allOf) ? allOf : []) {
    const wrong = inner(value, each);
    if (wrong) return wrong;
  }
  if (Array.isArray(anyOf) && anyOf.length > 0 && anyOf.every((each) => inner(value, each))) {
    return `${at} fits none of its forms`;
  }
  if (Array.isArray(oneOf) && oneOf.filter((each) => !inner(value, each)).length !== 1) {
    return `${at} does not fit exactly one of its forms`;
  }
  return isRecord(not) && !inner(value, not) ? `${at} is what it must not be` : undefined;
}

function checkText(value: unknown, schema: Schema, at: string) {
  if (typeof value !== "string") return undefined;
  const { minLength, maxLength, pattern } = schema;
  const length = [...value].length;
  if (typeof minLength === "number" && length < minLength) return `${at} is too short`;
  if (typeof maxLength === "number" && length > maxLength) return `${at} is too long`;
  // A caller's pattern could run for ever on some text, so only plain ones are tried.
  if (typeof pattern !== "string" || !isPlainPattern(pattern)) return undefined;
  return new RegExp(pattern, "u").test(value) ? undefined : `${at} does not match its pattern`;
}

/** Without groups or alternatives there is nothing to go back into more than once per place. */
function isPlainPattern(pattern: string): boolean {
  if (pattern.length > 200 || /[()|]/.test(pattern) || (pattern.match(/[*+{]/g) ?? []).length > 1) {
    return false;
  }
  try {
    return new RegExp(pattern, "u") !== undefined;
  } catch {
    return false; // another dialect's expression
  }
}

function checkNumber(value: unknown, schema: Schema, at: string) {
  if (typeof value !== "number") return undefined;
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  const low =
    (typeof minimum === "number" && value < minimum) ||
    (typeof exclusiveMinimum === "number" && value <= exclusiveMinimum);
  if (low) return `${at} is too small`;
  const high =
    (typeof maximum === "number" && value > maximum) ||
    (typeof exclusiveMaximum === "number" && value >= exclusiveMaximum);
  if (high) return `${at} is too large`;
  if (typeof multipleOf !== "number" || multipleOf <= 0) return undefined;
  const times = value / multipleOf;
  return Math.abs(times - Math.round(times)) > 1e-9 ? `${at} is no multiple` : undefined;
}

function checkList(value: unknown, schema: Schema, at: string, inner: Inner) {
  if (!Array.isArray(value)) return undefined;
  const { minItems, maxItems, uniqueItems, items, prefixItems } = schema;
  if (typeof minItems === "number" && value.length < minItems) return `${at} has too few items`;
  if (typeof maxItems === "number" && value.length > maxItems) return `${at} has too many items`;
  if (
    uniqueItems === true &&
    new Set(value.map((each) => JSON.stringify(each))).size < value.length
  ) {
    return `${at} has an item twice`;
  }
  const first = Array.isArray(prefixItems) ? prefixItems : [];
  for (const [n, item] of value.entries()) {
    const wrong = inner(item, n < first.length ? first[n] : items, `${at}[${n}]`);
    if (wrong) return wrong;
  }
  return undefined;
}

function checkObject(value: unknown, schema: Schema, at: string, inner: Inner) {
  if (!isRecord(value)) return undefined;
  const { required, properties, additionalProperties, minProperties, maxProperties } = schema;
  for (const key of Array.isArray(required) ? required : []) {
    if (typeof key === "string" && !Object.hasOwn(value, key)) return `${at} lacks ${key}`;
  }
  const keys = Object.keys(value);
  if (typeof minProperties === "number" && keys.length < minProperties)
    return `${at} has too few fields`;
  if (typeof maxProperties === "number" && keys.length > maxProperties)
    return `${at} has too many fields`;
  const known = isRecord(properties) ? properties : {};
  // Keys that match a pattern are no others; patterns are not tried, so none is refused here.
  const others = isRecord(schema["patternProperties"]) ? undefined : additionalProperties;
  for (const key of keys) {
    const own = Object.hasOwn(known, key);
    // A key of the answer's own making is not repeated: it may hold what the answer says.
    const place = own ? `${at}.${key}` : `${at}.*`;
    const wrong = inner(value[key], own ? known[key] : others, place);
    if (wrong) return wrong;
  }
  return undefined;
}

function isRecord(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
