/** What lay at an address, in the place of the address; documents under names that Converse takes. */
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../domain/errors.ts";
import { toName, withMedia } from "./encode-media.ts";

const source = (url: string) => ({ source: { url } });
const body = {
  messages: [
    {
      role: "user",
      content: [
        { text: "Look." },
        { image: { format: "png", ...source("https://x.test/a") } },
        { document: { format: "pdf", name: "Report", ...source("https://x.test/b.pdf") } },
      ],
    },
    {
      role: "user",
      content: [
        {
          toolResult: {
            toolUseId: "t",
            content: [{ image: { format: "png", ...source("https://x.test/a") } }],
          },
        },
      ],
    },
  ],
};

describe("addresses in a body", () => {
  test("are all asked for, and stay where nothing is given", () => {
    const asked: string[] = [];
    const same = withMedia(body, (url) => {
      asked.push(url);
      return undefined;
    });
    expect(same).toEqual(body);
    expect(asked).toEqual(["https://x.test/a", "https://x.test/b.pdf", "https://x.test/a"]);
  });

  test("become bytes of the type that was found there", () => {
    const filled = withMedia(body, (url) =>
      url.endsWith(".pdf")
        ? { mediaType: "application/octet-stream", base64: "UERG" }
        : { mediaType: "image/jpeg", base64: "SlBH" },
    );
    const image = { image: { format: "jpeg", source: { bytes: "SlBH" } } };
    expect(filled["messages"]).toEqual([
      {
        role: "user",
        content: [
          { text: "Look." },
          image,
          { document: { format: "pdf", name: "Report", source: { bytes: "UERG" } } },
        ],
      },
      { role: "user", content: [{ toolResult: { toolUseId: "t", content: [image] } }] },
    ]);
  });

  test("of a type that Converse has no word for are refused", () => {
    const take = () => ({ mediaType: "font/woff2", base64: "" });
    expect(() => withMedia(body, take)).toThrow(GatewayError);
  });
});

test.each([
  ["a.pdf", "a"],
  ["a.pdf", "a 2"],
  ["Qu_arterly: 'report' №7.final.pdf", "Qu arterly report 7 final"],
  [undefined, "document"],
  ["___.txt", "document 2"],
])(
  "a document called %j is named %j",
  (() => {
    const names = new Set<string>();
    return (name: string | undefined, found: string) => expect(toName(name, names)).toBe(found);
  })(),
);
