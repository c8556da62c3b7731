/** `/.well-known/skills/` for whoever looks, `/v1/skills` in Anthropic's shape, and their running. */

import { isSafePath, skillFileName, skillName } from "../../agents/skills/skill-file.ts";
import type { SkillFolder } from "../../agents/skills/skill-folder.ts";
import type { UploadedFile } from "../../agents/skills/skill-store.ts";
import { type Skills, skillLimits } from "../../agents/skills/skills.ts";
import { GatewayError } from "../../domain/errors.ts";
import { FormInvalid, filenameOf, parseForm } from "../../std/multipart.ts";
import { openForm, toFormError } from "../form.ts";
import { readJsonObject } from "../json-body.ts";
import { callerOf, type Route, type RouteContext } from "../route.ts";

const source = "https://platform.claude.com/docs/en/api/beta/skills";
const keyed = { who: "caller-or-admin", errors: "anthropic" } as const;
const runBodyBytes = 1024 * 1024;

export function skillRoutes(skills: Skills, folder: SkillFolder): readonly Route[] {
  const at = (name: string, { params }: RouteContext) => params[name] ?? "";
  return [
    {
      method: "GET",
      path: "/.well-known/skills/index.json",
      who: "anyone",
      errors: "openai",
      summary: "The operator's skills: names, descriptions, files.",
      handle: async () =>
        Response.json(
          {
            skills: (await folder.list()).map(({ name, description, files }) => ({
              name,
              description,
              files,
            })),
          },
          { headers: { "cache-control": "public, max-age=60" } },
        ),
    },
    {
      method: "GET",
      path: "/.well-known/skills/*",
      who: "anyone",
      errors: "openai",
      summary: "A file of one of the operator's skills.",
      docs: { reply: "text/markdown" },
      handle: (_request, context) => readFile(context, folder),
    },
    {
      ...keyed,
      method: "POST",
      path: "/v1/skills",
      summary: "Register a skill: a form with its files (`files[]`) and `display_name`.",
      docs: { body: "SkillUpload", source },
      async handle(request, context) {
        const { files, name } = await readFiles(request, context);
        return Response.json(await skills.create(files, name, callerOf(request, context.services)));
      },
    },
    {
      ...keyed,
      method: "GET",
      path: "/v1/skills",
      summary: "Your skills.",
      docs: { source },
      handle: async (request, { services }) =>
        Response.json(await skills.list(queryOf(request), callerOf(request, services))),
    },
    {
      ...keyed,
      method: "GET",
      path: "/v1/skills/:skill",
      summary: "A skill.",
      docs: { source },
      handle: async (request, context) =>
        Response.json(await skills.get(at("skill", context), callerOf(request, context.services))),
    },
    {
      ...keyed,
      method: "DELETE",
      path: "/v1/skills/:skill",
      summary: "Delete a skill with its versions.",
      docs: { source },
      handle: async (request, context) =>
        Response.json(
          await skills.remove(at("skill", context), callerOf(request, context.services)),
        ),
    },
    {
      ...keyed,
      method: "POST",
      path: "/v1/skills/:skill/run",
      summary:
        "Run a skill that has a program: `{input, version?}`. One of the operator's goes by its name.",
      docs: { body: "SkillRunRequest" },
      async handle(request, context) {
        const caller = callerOf(request, context.services);
        const body = await readJsonObject(request, context.services, runBodyBytes);
        return Response.json(await skills.run(at("skill", context), body, caller));
      },
    },
    {
      ...keyed,
      method: "POST",
      path: "/v1/skills/:skill/versions",
      summary: "A new version of a skill.",
      docs: { body: "SkillUpload", source },
      async handle(request, context) {
        const { files } = await readFiles(request, context);
        const caller = callerOf(request, context.services);
        return Response.json(await skills.addVersion(at("skill", context), files, caller));
      },
    },
    {
      ...keyed,
      method: "GET",
      path: "/v1/skills/:skill/versions",
      summary: "A skill's versions.",
      docs: { source },
      async handle(request, context) {
        const caller = callerOf(request, context.services);
        return Response.json(await skills.versions(at("skill", context), queryOf(request), caller));
      },
    },
    {
      ...keyed,
      method: "GET",
      path: "/v1/skills/:skill/versions/:version",
      summary: "A version of a skill; `latest` is one.",
      docs: { source },
      async handle(request, context) {
        const caller = callerOf(request, context.services);
        const version = at("version", context);
        return Response.json(await skills.version(at("skill", context), version, caller));
      },
    },
    {
      ...keyed,
      method: "DELETE",
      path: "/v1/skills/:skill/versions/:version",
      summary: "Delete an older version.",
      docs: { source },
      async handle(request, context) {
        const caller = callerOf(request, context.services);
        const version = at("version", context);
        return Response.json(await skills.removeVersion(at("skill", context), version, caller));
      },
    },
  ];
}

const queryOf = (request: Request) => new URL(request.url).searchParams;

async function readFile({ params }: RouteContext, folder: SkillFolder): Promise<Response> {
  const [skill = "", ...path] = (params["*"] ?? "").split("/");
  const file = path.join("/");
  const known = skillName.test(skill) && isSafePath(file);
  const bytes = known ? await folder.read(skill, file) : undefined;
  if (!bytes) throw new GatewayError("not_found", "There is no such file of a skill.");
  const isMarkdown = file.endsWith(".md");
  return new Response(new Uint8Array(bytes), {
    headers: {
      "content-type": isMarkdown ? "text/markdown; charset=utf-8" : "application/octet-stream",
      "cache-control": `public, max-age=${file === skillFileName ? 300 : 60}`,
      "x-content-type-options": "nosniff",
    },
  });
}

/** Within the limits of a bundle as they come, whatever the form says. */
async function readFiles(request: Request, { services }: RouteContext) {
  callerOf(request, services);
  const form = openForm(request, services, skillLimits.bundleBytes + 1024 * 1024);
  const files: UploadedFile[] = [];
  let name: string | undefined;
  let open: { readonly path: string; readonly parts: Uint8Array[] } | undefined;
  const close = () => {
    if (open) files.push({ path: open.path, bytes: new Uint8Array(Buffer.concat(open.parts)) });
    open = undefined;
  };
  try {
    for await (const event of parseForm(form.chunks, form.boundary)) {
      if (event.kind !== "piece") close();
      if (event.kind === "piece") open?.parts.push(new Uint8Array(event.bytes));
      else if (event.kind === "file") {
        if (!/^files(\[\d*\])?$/.test(event.name))
          throw new FormInvalid("its files are named files[]");
        open = { path: filenameOf(event.header), parts: [] };
      } else if (event.kind === "field" && /^display_(name|title)$/.test(event.name)) {
        name = new TextDecoder().decode(event.value);
      }
    }
  } catch (cause) {
    throw toFormError(cause);
  }
  close();
  return { files, name };
}
