/** The API's description as one page: no script, nothing fetched, readable without a key. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { ApiDocument } from "./document.ts";
import shell from "./page.html" with { type: "text" };

export function renderPage(document: ApiDocument): string {
  // As it goes out, so that the page can show nothing that the document has not.
  const root = JSON.parse(JSON.stringify(document)) as JsonObject;
  const operations = Object.entries(objectIn(root, "paths")).flatMap(([path, methods]) =>
    Object.entries(isObject(methods) ? methods : {}).map(([method, operation]) => ({
      path,
      method,
      operation: isObject(operation) ? operation : {},
    })),
  );
  const tags = listIn(root, "tags").filter(isObject);
  const sections = tags.map((tag) => {
    const own = operations.filter(({ operation }) =>
      listIn(operation, "tags").includes(tag["name"] ?? ""),
    );
    return renderSection(tag, own, root);
  });
  const links = tags.map((tag) => `<a href="#${toHtml(tag["name"])}">${toHtml(tag["name"])}</a>`);
  return String(shell)
    .replaceAll("{{version}}", () => toHtml(document.info.version))
    .replace("{{description}}", () => toHtml(document.info.description))
    .replace("{{links}}", () => links.join(" "))
    .replace("{{sections}}", () => sections.join("\n"));
}

interface Shown {
  readonly path: string;
  readonly method: string;
  readonly operation: JsonObject;
}

function renderSection(tag: JsonObject, shown: readonly Shown[], root: JsonObject): string {
  const name = toHtml(tag["name"]);
  // Paths of one operation stand together under its first.
  const groups = Map.groupBy(shown, ({ method, operation }) =>
    JSON.stringify([method, operation["summary"], operation["requestBody"]]),
  );
  const entries = [...groups.values()].map((group) => renderOperation(group, root));
  return `<section id="${name}"><h2>${name}</h2><p>${toHtml(tag["description"])}</p>${entries.join("")}</section>`;
}

function renderOperation(group: readonly Shown[], root: JsonObject): string {
  const [first, ...more] = group;
  if (!first) return "";
  const { method, path, operation } = first;
  const also = more.map((each) => `<code>${toHtml(each.path)}</code>`).join(", ");
  const source = objectIn(operation, "externalDocs")["url"];
  const parts = [
    `<p>${toHtml(operation["description"])}</p>`,
    also && `<p>Also at ${also}.</p>`,
    source === undefined
      ? ""
      : `<p>Reference: <a href="${toHtml(source)}">${toHtml(source)}</a></p>`,
    renderWays(operation),
    renderTable("Parameters", parametersOf(operation, root)),
    renderTable("Body", fieldsOf(objectIn(operation, "requestBody"), root)),
  ];
  return (
    `<details><summary><b class="${method}">${method.toUpperCase()}</b> <code>${toHtml(path)}</code> ` +
    `<span>${toHtml(operation["summary"])}</span></summary>${parts.join("")}</details>`
  );
}

function renderWays(operation: JsonObject): string {
  const ways = listIn(operation, "security").filter(isObject).flatMap(Object.keys);
  if (ways.length === 0) return "<p>Needs no key.</p>";
  return `<p>Key: ${ways.includes("adminKey") ? "the caller's or an admin's" : "the caller's"}.</p>`;
}

type Row = readonly [name: string, kind: string, meaning: string];

function parametersOf(operation: JsonObject, root: JsonObject): Row[] {
  return listIn(operation, "parameters").flatMap((each): Row[] => {
    const parameter = resolve(each, root);
    const place = `${parameter["in"]}`;
    return [[`${parameter["name"]}`, place, `${parameter["description"] ?? ""}`]];
  });
}

function fieldsOf(requestBody: JsonObject, root: JsonObject): Row[] {
  const [content] = Object.values(objectIn(requestBody, "content"));
  const schema = isObject(content) ? objectIn(content, "schema") : {};
  const [own = schema] = listIn(schema, "allOf");
  const body = resolve(own, root);
  const required = listIn(body, "required");
  return Object.entries(objectIn(body, "properties")).map(([name, field]): Row => {
    const { type, anyOf, description = "" } = isObject(field) ? field : {};
    const choices = Array.isArray(anyOf) ? anyOf : [];
    const kinds = choices.map((each: Json) =>
      isObject(each) ? (each["const"] ?? each["type"]) : "",
    );
    const kind = kinds.length > 0 ? kinds.join(" or ") : `${type ?? "any"}`;
    return [name, required.includes(name) ? `${kind}, required` : kind, `${description}`];
  });
}

function renderTable(title: string, rows: readonly Row[]): string {
  if (rows.length === 0) return "";
  const lines = rows.map(
    ([name, kind, meaning]) =>
      `<tr><td><code>${toHtml(name)}</code><td>${toHtml(kind)}<td>${toHtml(meaning)}`,
  );
  return `<h3>${title}</h3><table>${lines.join("")}</table>`;
}

function resolve(value: Json, root: JsonObject): JsonObject {
  if (!isObject(value)) return {};
  const { $ref: ref } = value;
  if (typeof ref !== "string") return value;
  return ref.split("/").slice(1).reduce(objectIn, root);
}

function objectIn(from: JsonObject, name: string): JsonObject {
  const value = from[name];
  return isObject(value) ? value : {};
}

function listIn(from: JsonObject, name: string): readonly Json[] {
  const value = from[name];
  return Array.isArray(value) ? value : [];
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

export const toHtml = (value: Json | undefined) =>
  String(value ?? "").replace(/[&<>"]/g, (char) => escapes[char] ?? char);
