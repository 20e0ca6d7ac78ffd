import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findChromium } from './chromium.ts';

/** The path of a Chromium or Chrome on this machine; without one, tests in a browser are left out. */
export const executablePath = findChromium();
const screenshots = process.env['SCREENSHOT_DIR'];
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// Without these flags Chromium asks its own hosts for updates.
const args = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

interface AxeResult {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
}

/** Keeps a picture of a page where `SCREENSHOT_DIR` says: on a screen and on a phone, light and dark. */
const takePictures = async (page: Page, name: string): Promise<void> => {
  if (!screenshots) return;
  const before = page.viewportSize() ?? { width: 1360, height: 860 };
  for (const [width, height] of [
    [1360, 860],
    [390, 844],
  ] as const)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(screenshots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
  await page.setViewportSize(before);
  await page.emulateMedia({ colorScheme: null });
};

/** Starts a browser whose pages note what goes wrong in them. */
export const startBrowser = async () => {
  const browser = await chromium.launch({ ...(executablePath ? { executablePath } : {}), args });
  return {
    /** Opens a page in a context of its own, as another person's browser. */
    async open(options: BrowserContextOptions = {}) {
      // What a screen reader or a keyboard finds is looked at without a moving page.
      const context = await browser.newContext({
        viewport: { width: 1360, height: 860 },
        reducedMotion: 'reduce',
        ...options,
      });
      const page = await context.newPage();
      const problems: string[] = [];
      const hosts = new Set<string>();
      page.on('pageerror', (error) => problems.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
      });
      page.on('request', (request) => hosts.add(new URL(request.url()).host));
      return {
        page,
        /** Errors and warnings of the console, among them what the content policy has blocked. */
        problems,
        /** The hosts that the page has asked. */
        hosts,
        takePictures: (name: string) => takePictures(page, name),
        /** What axe finds wrong, as `rule: element`. The policy of the page lets no script in but through the debugger. */
        async accessibilityProblems(): Promise<string[]> {
          const session = await context.newCDPSession(page);
          await session.send('Runtime.evaluate', { expression: axeSource });
          const run = { expression: 'axe.run()', awaitPromise: true, returnByValue: true };
          const { result } = await session.send('Runtime.evaluate', run);
          await session.detach();
          const { violations } = result.value as AxeResult;
          return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
        },
        close: () => context.close(),
      };
    },
    close: () => browser.close(),
  };
};

export type TestBrowser = Awaited<ReturnType<typeof startBrowser>>;
export type OpenPage = Awaited<ReturnType<TestBrowser['open']>>;
