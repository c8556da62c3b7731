/** `GET /v1/routing/decisions/{call_id}`: a call's receipt, readable as soon as its reply ends. */
import { callerOf, type Route } from "../route.ts";
import { findOwnReceipt, unknownCall } from "./own-receipt.ts";

export const decisionRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/routing/decisions/:call_id",
    who: "caller-or-admin",
    errors: "openai",
    summary: "A call's receipt: candidates, scores, why, attempts, timings, cost, feedback.",
    async handle(request, { services, params }) {
      const callId = params["call_id"] ?? "";
      const receipt = await findOwnReceipt(callId, callerOf(request, services), services);
      if (!receipt) throw unknownCall(callId);
      return Response.json(receipt);
    },
  },
];
