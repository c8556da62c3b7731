/** `POST /v1/feedback`: what a call's answer was worth, from whoever can tell. */
import type { Caller } from "../../domain/call.ts";
import type { Feedback } from "../../domain/decision.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import { readJsonObject } from "../json-body.ts";
import { callerOf, type Route } from "../route.ts";
import { findOwnReceipt, settleReceipt, unknownCall } from "./own-receipt.ts";

const bodyLimitBytes = 64 * 1024;
const commentCharLimit = 4_000;
const sourceForm = /^[\w.:@/-]{1,64}$/;
/** Sources that only the operator may claim: learning trusts them more than a caller's word. */
const reservedSource = /^(llm[-_ ]?)?(judge|implicit|shadow)/i;

export const feedbackRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/feedback",
    who: "caller-or-admin",
    errors: "openai",
    summary: "Record what an answer was worth: `{call_id, score | thumbs, source?, comment?}`.",
    docs: { body: "FeedbackRequest", status: "202" },
    async handle(request, { services }) {
      const caller = callerOf(request, services);
      const body = await readJsonObject(request, services, bodyLimitBytes);
      const feedback = readFeedback(body, caller, services.clock.now());
      await record(feedback, caller, services);
      return Response.json({ call_id: feedback.callId, status: "recorded" }, { status: 202 });
    },
  },
];

async function record(feedback: Feedback, caller: Caller, services: Services): Promise<void> {
  if (!(await findOwnReceipt(feedback.callId, caller, services)))
    throw unknownCall(feedback.callId);
  await settleReceipt(feedback.callId, services);
  if (!(await services.events.addFeedback(feedback))) throw unknownCall(feedback.callId);
}

/** @throws GatewayError invalid_request, permission_denied */
export function readFeedback(body: JsonObject, caller: Caller, atMs: number): Feedback {
  const { call_id: callId, comment, source = "user" } = body;
  if (typeof callId !== "string" || callId === "" || callId.length > 128) {
    throw invalid("call_id", "must be the x-routeiq-call-id of an answer");
  }
  if (typeof source !== "string" || !sourceForm.test(source)) {
    throw invalid("source", "must be a word of at most 64 letters, digits, and . : @ / _ -");
  }
  if (reservedSource.test(source) && !caller.admin) {
    throw new GatewayError("permission_denied", `"source": "${source}" is the operator's alone.`, {
      param: "source",
    });
  }
  const hasComment = comment !== undefined && comment !== null;
  if (hasComment && (typeof comment !== "string" || comment.length > commentCharLimit)) {
    throw invalid("comment", `must be a text of at most ${commentCharLimit} characters`);
  }
  return {
    callId,
    score: readScore(body),
    source,
    ...(hasComment && { comment: String(comment) }),
    atMs,
  };
}

function readScore({ score, thumbs }: JsonObject): number {
  const given = [score, thumbs].filter((value) => value !== undefined && value !== null);
  if (given.length !== 1) {
    throw invalid("score", 'or "thumbs" must be given, one of the two');
  }
  if (typeof score === "number" && score >= 0 && score <= 1) return score;
  if (score !== undefined && score !== null) {
    throw invalid("score", `must be a number from 0 to 1, not ${excerpt(JSON.stringify(score))}`);
  }
  if (thumbs === "up") return 1;
  if (thumbs === "down") return 0;
  throw invalid("thumbs", `must be "up" or "down", not ${excerpt(JSON.stringify(thumbs))}`);
}

function invalid(param: string, problem: string): GatewayError {
  return new GatewayError("invalid_request", `"${param}" ${problem}.`, { param });
}
