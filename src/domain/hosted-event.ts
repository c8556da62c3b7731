/**
 * What the gateway's own tools do during an answer, as our chunks carry it beside what the model
 * says. A dialect that has words for it tells it; for the others it is not there. Type aliases, not
 * interfaces, because only those are JSON to the compiler.
 */
import type { HostedFailure } from "./hosted-tool.ts";
import type { JsonObject } from "./json.ts";

export type HostedEvent =
  | HostedList
  | HostedCallBegun
  | HostedArguments
  | HostedRunning
  | HostedEnded
  | HostedApproval
  | HostedCitation;

/** A server's tools; with `error`, why there are none. */
export type HostedList = {
  readonly kind: "list";
  readonly label: string;
  /** As the Responses API lists them: name, description, input_schema, annotations. */
  readonly tools: readonly JsonObject[];
  readonly error?: string;
};

export type HostedCallBegun = {
  readonly kind: "begun";
  /** Which call of the turn, from 0. */
  readonly call: number;
  readonly shownAs: "mcp" | "file_search";
  readonly label: string;
  readonly name: string;
  /** The request for approval that it was approved by. */
  readonly approval?: string;
};

/** A piece of a call's arguments, as the model writes them. */
export type HostedArguments = {
  readonly kind: "arguments";
  readonly call: number;
  readonly delta: string;
};

/** The arguments are whole, and the tool is at work. */
export type HostedRunning = {
  readonly kind: "running";
  readonly call: number;
};

export type HostedEnded = {
  readonly kind: "ended";
  readonly call: number;
  readonly output: string;
  readonly failure?: HostedFailure;
  /** Of a search. */
  readonly queries?: readonly string[];
  /** In OpenAI's words: file_id, filename, text, score, attributes. */
  readonly results?: readonly JsonObject[];
};

/** The model wants a call that the caller has to approve of first. */
export type HostedApproval = {
  readonly kind: "approval";
  readonly label: string;
  readonly name: string;
  readonly arguments: string;
};

/** The text so far rests on this file. */
export type HostedCitation = {
  readonly kind: "citation";
  readonly fileId: string;
  readonly filename: string;
};
