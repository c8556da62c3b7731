/** What a session's messages tell, and what of them is changed or refused. */
import { describe, expect, test } from "bun:test";
import type { GatewayError } from "../../domain/errors.ts";
import type { Deployment } from "../../domain/model.ts";
import { admitEvent, toErrorEvent } from "./caller-events.ts";
import { createRealtimeMeter } from "./meter.ts";

const deployment = {
  group: "voice",
  candidate: "openai/gpt-realtime",
  upstreamModel: "gpt-realtime",
} as Deployment;
const admit = (text: string, ofTranscripts = false) =>
  admitEvent(text, { requested: "talk", deployment, ofTranscripts });

describe("what a caller says", () => {
  const passing = [
    '{"type":"input_audio_buffer.append","audio":"AAAA"}',
    '{ "type": "session.update", "session": { "voice": "a" } }',
    '{"type":"session.update","session":{"model":"gpt-realtime"}}',
    '{"type":"session.update","session":{"model":null}}',
    // A helper of the session, which has a name and a price of its own.
    '{"type":"session.update","session":{"input_audio_transcription":{"model":"whisper-1"}}}',
    '{"type":"conversation.item.create","item":{"model":"gpt-4o"}}',
    'no json, "model"',
    '["model"]',
  ];
  test.each(passing)("%s passes as it came", (text) => expect(admit(text)).toBe(text));

  const update = (session: object) => JSON.stringify({ type: "session.update", session });
  test.each(["talk", "voice", "openai/gpt-realtime"])("%s is the provider's name", (model) => {
    expect(admit(update({ model }))).toBe(update({ model: "gpt-realtime" }));
  });

  const refused: readonly (readonly [string, boolean])[] = [
    [update({ model: "gpt-4o" }), false],
    [update({ model: ["voice", "x"] }), false],
    ['{"type":"session\\u002eupdate","session":{"\\u006dodel":"gpt-4o"}}', false],
    ['{"type":"response.create","response":{"model":"gpt-4o"}}', false],
    ['{"type":"x","type":"session.update","session":{"model":"gpt-4o"}}', false],
    ['{"type":"transcription_session.update","session":{"model":"gpt-4o"}}', true],
    [update({ input_audio_transcription: { model: "whisper-1" } }), true],
    [update({ audio: { input: { transcription: { model: "whisper-1" } } } }), true],
  ];
  test.each(refused)("%s is refused", (text, ofTranscripts) => {
    let thrown: unknown;
    try {
      admit(text, ofTranscripts);
    } catch (error) {
      thrown = error;
    }
    const event = JSON.parse(toErrorEvent(thrown as GatewayError, "1"));
    expect(event).toMatchObject({
      type: "error",
      event_id: "event_1",
      error: { code: "permission_denied", param: "session.model", event_id: null },
    });
  });
});

describe("what a session uses", () => {
  const see = (events: readonly unknown[], ofTranscripts = false) => {
    const meter = createRealtimeMeter(ofTranscripts);
    for (const event of events) {
      meter.see(Buffer.from(typeof event === "string" ? event : JSON.stringify(event)));
    }
    return meter.usage(true);
  };
  const done = {
    type: "response.done",
    response: { usage: { input_tokens: 5, output_tokens: 7 } },
  };
  const transcript = {
    type: "conversation.item.input_audio_transcription.completed",
    usage: { type: "duration", seconds: 3 },
  };
  const cases: readonly (readonly [string, readonly unknown[], boolean, object])[] = [
    ["nothing", [], false, { inputTokens: 0, outputTokens: 0 }],
    ["answers", [done, done], false, { inputTokens: 10, outputTokens: 14 }],
    [
      "one whose type comes last",
      [{ response: done.response, type: done.type }],
      false,
      { inputTokens: 5, outputTokens: 7 },
    ],
    [
      "words that only look like one",
      [{ type: "x", text: '"response.done"', usage: { input_tokens: 9 } }],
      false,
      { inputTokens: 0, outputTokens: 0 },
    ],
    [
      "noise",
      ["no json", "[1]", '{"type":"response.done"'],
      false,
      { inputTokens: 0, outputTokens: 0 },
    ],
    [
      "an answer without usage",
      [{ type: "response.done", response: { status: "failed" } }],
      false,
      { inputTokens: 0, outputTokens: 0 },
    ],
    [
      "one that was cut off",
      [done, { type: "response.created" }, { type: "response.output_text.delta", delta: "a" }],
      false,
      { inputTokens: 10, outputTokens: 8, estimated: true },
    ],
    [
      "transcripts beside answers have a price of their own",
      [transcript],
      false,
      { inputTokens: 0, outputTokens: 0 },
    ],
    [
      "transcripts alone",
      [transcript, transcript],
      true,
      { inputTokens: 0, outputTokens: 0, units: { seconds: 6 } },
    ],
  ];
  test.each(cases)("%s", (_name, events, ofTranscripts, expected) => {
    expect(see(events, ofTranscripts) as object).toEqual(expected);
  });
});
