/** The report's style sheet. Colours are variables, so that light, dark and paper differ in one place only. */

/**
 * Series colours: dark enough for lines on white and light enough on near-black (3 : 1, WCAG 2.2, 1.4.11), and told apart
 * by people who see fewer colours, after the palette of Okabe and Ito, "Color Universal Design" (2008).
 */
const LIGHT = `
  --page: #f7f8fa; --card: #ffffff; --text: #1a2230; --soft: #566174; --line: #e0e4ea; --accent: #0b63ce;
  --arm-0: #b35900; --arm-1: #00776b; --arm-2: #6a3fb5; --arm-3: #0b63ce; --arm-4: #a8326e; --arm-native: #5b6675;
  --good: #05683c; --good-ground: #e2f5ea; --bad: #a8171e; --bad-ground: #fde8e8; --open: #7a4d00; --open-ground: #fdf1d6;
  --plain: #4a5567; --plain-ground: #eceff3;`;

const DARK = `
  --page: #0f1319; --card: #171c25; --text: #e6eaf0; --soft: #9ba7b8; --line: #2a323f; --accent: #7db4ff;
  --arm-0: #f0a04b; --arm-1: #3fc9b4; --arm-2: #b79bf5; --arm-3: #7db4ff; --arm-4: #f08fbf; --arm-native: #97a3b4;
  --good: #7ee2a8; --good-ground: #12301f; --bad: #ff9b9b; --bad-ground: #3a1a1d; --open: #f5c970; --open-ground: #35290f;
  --plain: #b4bfce; --plain-ground: #252d39;`;

/** Colours of arms beside the native one, in the order of the session; then they begin again. */
export const ARM_COLOURS = 5;

export const STYLE = `
:root { color-scheme: light dark; ${LIGHT}
}
@media (prefers-color-scheme: dark) { :root { ${DARK}
} }
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.55 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  -webkit-text-size-adjust: 100%;
}
main, header, footer { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 44px; }
h1 { margin: 0; font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; }
h2 { margin: 0 0 4px; font-size: 19px; letter-spacing: -0.01em; }
h3 { margin: 0; font-size: 15px; }
p { margin: 0 0 12px; }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.92em; }
.soft { color: var(--soft); }
.lead { margin: 8px 0 0; color: var(--soft); }
nav { margin-top: 18px; display: flex; flex-wrap: wrap; gap: 6px 18px; }
nav a { color: var(--accent); text-decoration: none; }
nav a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
section { margin: 20px 0; padding: 22px 24px 24px; }
p.after { margin: 10px 0 0; }
section > p.soft { max-width: 76ch; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 14px; margin-top: 24px; }
.tile { padding: 15px 18px 14px; }
.tile strong { display: block; font-size: 28px; line-height: 1.25; letter-spacing: -0.02em; font-weight: 650; }
.tile.good strong { color: var(--good); } .tile.bad strong { color: var(--bad); } .tile.open strong { color: var(--open); }
.tile span { color: var(--soft); font-size: 13.5px; line-height: 1.4; display: block; }
.notice { border-left: 4px solid var(--open); background: var(--open-ground); color: var(--text); padding: 11px 15px; border-radius: 6px; margin: 18px 0 0; }
.notice.bad { border-color: var(--bad); background: var(--bad-ground); }
.notice ul { margin: 4px 0 0; padding-left: 20px; }
.scroll { overflow-x: auto; margin: 12px -24px 0; padding: 0 24px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
caption { text-align: left; color: var(--soft); font-size: 13.5px; padding-bottom: 6px; }
th, td { text-align: left; padding: 6px 12px 6px 0; vertical-align: baseline; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 550; font-size: 13px; border-bottom: 1px solid var(--line); white-space: normal; vertical-align: bottom; }
tbody th { font-weight: 600; }
tbody + tbody, tbody.rule tr + tr { border-top: 1px solid var(--line); }
tbody.rule tr + tr th, tbody.rule tr + tr td { border-top: 1px solid var(--line); }
tfoot th, tfoot td { border-top: 2px solid var(--line); font-weight: 600; }
.number { text-align: right; }
.number + td:not(.number), .number + th:not(.number) { padding-left: 12px; }
td.arm::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 8px; background: var(--dot, transparent); }
${Array.from({ length: ARM_COLOURS }, (_, index) => `.arm-${index} { --dot: var(--arm-${index}); }`).join(' ')} .arm-native { --dot: var(--arm-native); }
.pill { display: inline-block; border-radius: 999px; padding: 1px 10px; font-size: 12.5px; font-weight: 600; line-height: 1.6; color: var(--plain); background: var(--plain-ground); }
.pill.good { color: var(--good); background: var(--good-ground); } .pill.bad { color: var(--bad); background: var(--bad-ground); } .pill.open { color: var(--open); background: var(--open-ground); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 22px 28px; margin-top: 16px; }
figure { margin: 0; break-inside: avoid; min-width: 0; }
figure.wide { margin-top: 12px; overflow-x: auto; }
figure.wide svg { min-width: 680px; }
figcaption { font-weight: 600; font-size: 14px; }
figcaption span { font-weight: 400; color: var(--soft); }
figure svg { --plot-background: var(--card); display: block; width: 100%; height: auto; color: var(--soft); overflow: visible; font-family: inherit; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; margin: 10px 0 0; list-style: none; font-size: 13.5px; color: var(--soft); }
.legend li::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 7px; background: var(--dot); }
dl.words { margin: 12px 0 0; }
dl.words div { padding: 10px 0; border-top: 1px solid var(--line); break-inside: avoid; }
dl.words div:first-child { border-top: 0; }
dl.words dt { font-weight: 600; } dl.words dd { margin: 2px 0 0; max-width: 90ch; }
details { margin-top: 12px; } summary { cursor: pointer; color: var(--accent); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 3px 20px; margin: 12px 0 0; font-size: 14px; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
footer { padding-bottom: 48px; color: var(--soft); font-size: 13.5px; }
@media (max-width: 560px) { main, header, footer { padding-left: 14px; padding-right: 14px; } section { padding: 18px 16px; } .scroll { margin: 12px -16px 0; padding: 0 16px; } dl.facts { grid-template-columns: 1fr; } dl.facts dd { margin-bottom: 6px; } }
@media print {
  :root { ${LIGHT}
  --page: #ffffff; color-scheme: light; }
  body { font-size: 10.5pt; } nav { display: none; } section, .tile { border-radius: 0; } .scroll { overflow: visible; }
  section { border-width: 1px 0 0; padding: 12pt 0; margin: 0; } h2, thead { break-after: avoid; } tr { break-inside: avoid; }
  .pill, .notice { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  th, td { white-space: normal; }
  figure.wide svg { min-width: 0; }
}
`;
