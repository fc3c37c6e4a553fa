import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderHtml } from '../../../../benchmarks/report/html.ts';
import { packageFile } from '../../../../host/package-root.ts';
import { launchBrowser } from './browser.ts';
import { fullInput } from './inputs.ts';

/** `BENCH_SCREENSHOTS=1` writes the pictures of docs/BENCH.md anew. */
const KEEP = process.env.BENCH_SCREENSHOTS === '1';
const START_LIMIT_MS = 60_000;

let browser: Browser;
let folder: string;
let address: string;

beforeAll(async () => {
  browser = await launchBrowser();
  folder = await mkdtemp(path.join(tmpdir(), 'rvm-'));
  await writeFile(path.join(folder, 'report.html'), renderHtml(await fullInput()));
  address = pathToFileURL(path.join(folder, 'report.html')).href;
}, START_LIMIT_MS);
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

type Scheme = 'light' | 'dark';

async function open(colorScheme: Scheme, width = 1160): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (request.url() !== address) complaints.push(`asked for ${request.url()}`);
  });
  await page.goto(address);
  return { page, complaints };
}

/** Least contrast of text with its ground (WCAG 2.2, 1.4.3), and where. Runs in the page. */
const LEAST_CONTRAST = `(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let least = { ratio: 21, text: '' };
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
    if (!own || element.closest('script, style, title')) continue;
    const style = getComputedStyle(element);
    const colour = parse(element.closest('svg') ? style.fill : style.color);
    const [a, b] = [luminance(colour), luminance(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < least.ratio) least = { ratio, text: element.textContent.slice(0, 60) };
  }
  return least;
})()`;

describe('the report in a browser', () => {
  it.each<Scheme>(['light', 'dark'])('is read in %s, and asks for nothing', async (scheme) => {
    const { page, complaints } = await open(scheme);
    const { ratio, text } = await page.evaluate<{ ratio: number; text: string }>(LEAST_CONTRAST);
    expect(ratio, text).toBeGreaterThanOrEqual(4.5);
    const picture = await page.screenshot();
    if (KEEP) {
      await mkdir(packageFile('docs/images'), { recursive: true });
      await writeFile(packageFile(`docs/images/bench-report-${scheme}.png`), picture);
      for (const section of ['arms', 'history']) {
        const part = await page.locator(`section[aria-labelledby=${section}]`).screenshot();
        await writeFile(packageFile(`docs/images/bench-report-${section}-${scheme}.png`), part);
      }
    }
    expect(complaints).toEqual([]);
    await page.close();
  });

  it('looks different in the dark', async () => {
    const grounds = await Promise.all(
      (['light', 'dark'] as const).map(async (scheme) => {
        const { page } = await open(scheme);
        const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
        await page.close();
        return ground;
      }),
    );
    expect(new Set(grounds).size).toBe(2);
  });

  it('has names for its parts: sections, tables, pictures, links that lead somewhere', async () => {
    const { page } = await open('light');
    const sections = await page.getByRole('region').all();
    expect(sections).toHaveLength(7);
    expect(await page.locator('table:not(:has(caption))').count()).toBe(0);
    expect(await page.locator('th:not([scope])').count()).toBe(0);
    expect(await page.locator('svg:not([role=img][aria-label])').count()).toBe(0);
    expect(await page.getByRole('img').count()).toBeGreaterThan(10);
    expect(await page.getByRole('row', { name: /compile\/gcc-hello.*cache off.*base/ }).count()).toBe(1);
    const broken = await page.evaluate<string[]>(
      "[...document.querySelectorAll('nav a')].map((a) => a.getAttribute('href')).filter((id) => !document.querySelector(id))",
    );
    expect(broken).toEqual([]);
    await page.close();
  });

  it('fits a narrow screen: only tables scroll, in their own box', async () => {
    const { page } = await open('light', 390);
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    expect(width).toBeLessThanOrEqual(390);
    await page.close();
  });

  it('prints on white paper, whatever the screen', async () => {
    const { page } = await open('dark');
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)');
    expect((await page.pdf()).subarray(0, 5).toString()).toBe('%PDF-');
    await page.close();
  });
});
