/** The report as one HTML file that opens from a disk, in a mail or in an archive, and asks the network for nothing. */
import { countersSection } from './counters.ts';
import { dataScript, Html, html } from './html-text.ts';
import type { ReportInput } from './input.ts';
import { reportData } from './json.ts';
import {
  armsSection,
  comparisonSection,
  historySection,
  machineSection,
  notice,
  samplesSection,
  tiles,
  wordsSection,
} from './sections.ts';
import { STYLE } from './style.ts';
import { makeView, type ReportView } from './view.ts';

/** No script runs and nothing is loaded, whatever a benchmark's name may hold (CSP Level 3). */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** Never throws for a session that its schema allows. The data is inline, in the element `data`, as JSON. */
export function renderHtml(input: ReportInput): string {
  const view = makeView(input);
  const { session } = input;
  const sections: (readonly [id: string, title: string, body: Html | null])[] = [
    ['change', 'change', comparisonSection(view)],
    ['arms', 'arms', armsSection(view)],
    ['samples', 'samples', samplesSection(view)],
    ['counters', 'counters', countersSection(view)],
    ['history', 'history', historySection(view)],
    ['words', 'verdicts', wordsSection(view)],
    ['machine', 'machine', machineSection(view)],
  ];
  const shown = sections.filter(([, , body]) => body !== null);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Benchmarks of ${session.date.slice(0, 10)}, ${session.tier} tier</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>
<h1>Benchmarks</h1>
<p class="lead">${describe(view)}</p>
<nav aria-label="Sections">${shown.map(([id, title]) => html`<a href="#${id}">${title}</a>`)}</nav>
${notice('This session is partial; it says nothing of the whole suite:', session.state === 'partial' ? [session.reason ?? 'It was stopped before its end.'] : [], '')}
${tiles(view)}
</header>
<main>${shown.map(([, , body]) => body)}</main>
<footer><p>Made by <code>bench report</code> of rosetta-vm ${session.version}. The data is inside this file, as JSON in the element <code>data</code>; nothing is loaded from anywhere.</p></footer>
${dataScript('data', reportData(input))}
</body>
</html>
`;
  return page.text;
}

function describe({ session }: ReportView): string {
  const { date, tier, commit, fingerprint } = session;
  return [
    `${date.slice(0, 10)} ${date.slice(11, 16)} UTC`,
    `${tier} tier`,
    ...(commit === null ? [] : [`commit ${commit.id.slice(0, 10)}${commit.dirty ? ' with changes' : ''}`]),
    fingerprint.cpu,
    `${fingerprint.driver}, ${fingerprint.accelerator}${fingerprint.accelerator === 'tcg' ? ' (emulated CPU: ratios hold, absolute times do not)' : ''}`,
  ].join(' · ');
}
