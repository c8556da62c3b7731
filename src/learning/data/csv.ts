/** Comma- or tab-separated values as they come, by RFC 4180: quotes, doubled quotes, line ends within. */
import { fileLimits, type InputFile, readText, withoutPacking } from "./input-file.ts";
import { unreadable } from "./problems.ts";

export interface CsvRecord {
  readonly fields: readonly string[];
  /** Where the record begins, from 1. */
  readonly line: number;
}

/** @throws GatewayError invalid_request for a record over the limit (an unclosed quote, say) */
export async function* readCsv(file: InputFile): AsyncGenerator<CsvRecord> {
  const separator = /\.tsv$/i.test(withoutPacking(file.name)) ? "\t" : ",";
  const special = separator === "," ? /[",\r\n]/g : /["\t\r\n]/g;
  let fields: string[] = [];
  let field = "";
  let quoted = false;
  /** The last character was a quote within quotes: doubled, or the end. */
  let closing = false;
  let line = 1;
  let began = 1;
  let held = 0;
  const endField = () => {
    fields.push(field);
    field = "";
  };
  for await (const piece of readText(file)) {
    const done: CsvRecord[] = [];
    let at = 0;
    while (at < piece.length) {
      if (closing) {
        closing = false;
        if (piece[at] === '"') {
          field += '"';
          at++;
          continue;
        }
        quoted = false;
      }
      if (quoted) {
        const end = piece.indexOf('"', at);
        const part = piece.slice(at, end < 0 ? piece.length : end);
        field += part;
        held += part.length;
        for (let n = part.indexOf("\n"); n >= 0; n = part.indexOf("\n", n + 1)) line++;
        at = end < 0 ? piece.length : end + 1;
        closing = end >= 0;
        continue;
      }
      special.lastIndex = at;
      const end = special.exec(piece)?.index ?? piece.length;
      field += piece.slice(at, end);
      held += end - at;
      const char = piece[end];
      at = end + 1;
      if (char === separator) endField();
      else if (char === '"') {
        if (field === "") quoted = true;
        else field += '"'; // a quote within a plain field stands for itself
      } else if (char === "\n") {
        line++;
        endField();
        if (fields.length > 1 || fields[0] !== "") done.push({ fields, line: began });
        fields = [];
        held = 0;
        began = line;
      }
    }
    if (held > fileLimits.lineUnits) {
      throw unreadable(
        `${file.name}:${began}`,
        "a record is over 16 Mi characters (an open quote?)",
      );
    }
    yield* done;
  }
  if (field !== "" || fields.length > 0) {
    endField();
    yield { fields, line: began };
  }
}
