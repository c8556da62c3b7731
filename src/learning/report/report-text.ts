/** How a report writes numbers and text, and how it looks. */
export const fix = (value: number) => (Number.isFinite(value) ? value.toFixed(4) : "–");
export const signed = (value: number) => `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(4)}`;
export const percent = (share: number) =>
  Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : "not reached";
export const usd = (value: number) => `$${value >= 0.01 ? value.toFixed(3) : value.toPrecision(1)}`;

export function toEntities(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export const style = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#dfe4ea;--back:#fbfcfd;--card:#fff;--router:#0a7d55;--zero:#98a2b0;--single:#c9722b;--good:#0a7d55;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#2b3440;--back:#12161c;--card:#191f27;--router:#3ecf97;--zero:#6b7787;--single:#e39a5c;--good:#3ecf97;--bad:#f2857c}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:32px 20px 60px}h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:0 0 12px}h2 small{color:var(--soft);font-weight:400;font-size:14px}
.lead{color:var(--soft);max-width:70ch;margin:0 0 20px}section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px;margin:22px 0;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}th{text-align:left;font-weight:600;color:var(--soft);border-bottom:1px solid var(--line);padding:6px 8px}td{padding:5px 8px;border-bottom:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.n small{color:var(--soft)}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
figure{margin:0 0 14px}figure.small{max-width:280px}h3{font-size:15px;margin:22px 0 8px}svg{width:100%;height:auto;display:block}.grid{stroke:var(--line)}.tick,.axis,.name{font:11px system-ui,sans-serif;fill:var(--soft)}.name{fill:var(--ink);stroke:var(--card);stroke-width:3px;paint-order:stroke;stroke-linejoin:round}
polyline{fill:none;stroke-width:2.2;stroke-linejoin:round}.router{stroke:var(--router)}.zero{stroke:var(--zero);stroke-dasharray:5 4}.point{fill:var(--router)}.single{fill:var(--single)}
figcaption{font-size:12.5px;color:var(--soft)}.key{display:inline-block;width:20px;border-top:2.5px solid var(--router);margin:0 5px 3px 10px;vertical-align:middle}.key.zero{border-top:2.5px dashed var(--zero)}.dot{display:inline-block;width:8px;height:8px;border-radius:50%;background:var(--single);margin:0 5px 0 10px}
footer{color:var(--soft);font-size:12.5px;margin-top:26px}.wide{display:block;overflow-x:auto}`;
