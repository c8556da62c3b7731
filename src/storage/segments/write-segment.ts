/** Rows as the bytes of a segment: Parquet, or JSON lines packed with gzip. */
import type { Cell, Column } from "./segment-row.ts";

export const segmentFormats = ["parquet", "jsonl"] as const;
export type SegmentFormat = (typeof segmentFormats)[number];

export const segmentSuffix: Readonly<Record<SegmentFormat, string>> = {
  parquet: "parquet",
  jsonl: "jsonl.gz",
};

/** Rows of a row group: what a reader decodes at once. */
const groupRows = 10_000;

export async function writeSegment<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  format: SegmentFormat,
): Promise<Uint8Array> {
  return format === "parquet" ? await toParquet(rows, columns) : toLines(rows, columns);
}

async function toParquet<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
): Promise<Uint8Array> {
  const { ByteWriter, parquetWrite } = await import("./parquet-library.ts");
  const writer = new ByteWriter();
  parquetWrite({
    writer,
    columnData: columns.map(({ name, type, of }) => ({
      name,
      type,
      // A JSON column takes values and writes their text; ours is text already.
      ...(type === "JSON" ? { type: "STRING" as const } : {}),
      data: rows.map((row) => of(row) ?? null),
      nullable: true,
    })),
    // Of arrays and long texts the least and the greatest say nothing.
    statistics: true,
    codec: "ZSTD",
    compressors: { ZSTD: (bytes) => Bun.zstdCompressSync(bytes as Uint8Array<ArrayBuffer>) },
    rowGroupSize: groupRows,
    createdBy: "routeiq",
  });
  return writer.getBytes();
}

function toLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): Uint8Array {
  const lines = rows.map((row) => {
    const fields = columns.flatMap(({ name, type, of }) => {
      const cell = of(row);
      return cell === undefined ? [] : [`${JSON.stringify(name)}:${toText(cell, type)}`];
    });
    return `{${fields.join(",")}}\n`;
  });
  return new Uint8Array(Bun.gzipSync(lines.join("")));
}

function toText(cell: Exclude<Cell, undefined>, type: string): string {
  if (type === "JSON") return cell as string;
  if (cell instanceof Uint8Array) return JSON.stringify(Buffer.from(cell).toString("base64"));
  return JSON.stringify(cell);
}
