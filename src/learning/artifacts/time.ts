/** Times in artifacts: RFC 3339 date-times. */

const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** Milliseconds since the epoch, or undefined for what is no time; 30 February is none. */
export function parseTime(value: unknown): number | undefined {
  if (typeof value !== "string") return undefined;
  const match = rfc3339.exec(value);
  if (!match) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const date = new Date(Date.UTC(year, month - 1, day));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const ms = Date.parse(value);
  return Number.isFinite(ms) ? ms : undefined;
}

/** Whole seconds, UTC. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}

const durationUnits: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `90d`, `12h`, `30m` in milliseconds; undefined for anything else. */
export function parseDuration(value: string): number | undefined {
  const match = /^(\d{1,6})([smhdw])$/.exec(value.trim());
  if (!match) return undefined;
  return Number(match[1]) * (durationUnits[match[2] ?? ""] ?? Number.NaN);
}
