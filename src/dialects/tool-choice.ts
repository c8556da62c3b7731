/** Which tools a call may use, for dialects that can only be told of fewer tools. */
import type { ChatRequest, ChatTool } from "../domain/chat.ts";
import { isObject, type Json } from "../domain/json.ts";
import { withoutGoogleTools } from "./gemini/foreign.ts";

export interface ChosenTools {
  /** Function tools alone, those that may be called. */
  readonly tools: readonly ChatTool[];
  readonly mode: "auto" | "required" | "none";
}

export function chooseTools({ tools, tool_choice: choice }: ChatRequest): ChosenTools {
  const offered = (withoutGoogleTools(tools) ?? []).filter((tool) => tool.function !== undefined);
  if (choice === "none") return { tools: offered, mode: "none" };
  if (choice === "required" || choice === "any") return { tools: offered, mode: "required" };
  if (!isObject(choice)) return { tools: offered, mode: "auto" };
  const { function: one, allowed_tools: some } = choice;
  if (isObject(one)) return { tools: keep(offered, [one]), mode: "required" };
  if (!(isObject(some) && Array.isArray(some["tools"]))) return { tools: offered, mode: "auto" };
  const mode = some["mode"] === "required" ? "required" : "auto";
  return { tools: keep(offered, some["tools"]), mode };
}

function keep(offered: readonly ChatTool[], named: readonly Json[]): readonly ChatTool[] {
  const names = named.map((each) => {
    const inner = isObject(each) && isObject(each["function"]) ? each["function"] : each;
    return isObject(inner) ? inner["name"] : undefined;
  });
  return offered.filter((tool) => names.includes(tool.function?.name));
}
