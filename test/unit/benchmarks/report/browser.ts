/** A real browser for the report: Chromium of the system, without a window. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';

/** Debian's two packages, then what other systems and people have. */
const PROGRAMS = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];

/** Throws when there is none: `npm test` installs it, and a test that silently does nothing would prove nothing. */
export async function launchBrowser(): Promise<Browser> {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const candidates = PROGRAMS.flatMap((program) => folders.map((folder) => path.join(folder, program)));
  for (const executablePath of candidates) {
    if (!(await exists(executablePath))) continue;
    // Chromium's own sandbox refuses to run as root, and the page is our own file.
    return await chromium.launch({ executablePath, chromiumSandbox: false });
  }
  throw new Error(`No browser was found (${PROGRAMS.join(', ')}): install the package chromium-headless-shell.`);
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
