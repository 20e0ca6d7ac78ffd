/**
 * How soon the page shows something in Chromium, on loopback: its first paint with content, and the first row of its list.
 *
 *   node tests/bench/first-paint.ts [--opens 20]
 *
 * Each opening is a browser's first, without a cache, and is followed by one that has it. Prints quantiles in milliseconds
 * from the beginning of the navigation, and the requests and bytes of the first.
 */
import { parseArgs } from 'node:util';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type OpenPage, startBrowser } from '../support/browser.ts';
import { quantile } from '../support/quantile.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({ options: { opens: { type: 'string', default: '20' } } });

interface Opening {
  readonly paintMs: number;
  readonly rowMs: number;
  readonly requests: number;
  readonly bytes: number;
}

// The row is looked for at each frame, from before the page's own scripts.
const noteFirstRow = `
  const look = () => document.querySelector('.row') ? (window.rowMs = performance.now()) : requestAnimationFrame(look);
  requestAnimationFrame(look);`;

const measure = async (page: OpenPage['page']): Promise<Opening> => {
  await page.locator('.row').first().waitFor();
  return page.evaluate(`(async () => {
    while (window.rowMs === undefined) await new Promise(requestAnimationFrame);
    const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    return {
      paintMs: performance.getEntriesByName('first-contentful-paint')[0].startTime,
      rowMs: window.rowMs,
      requests: loaded.length,
      bytes: loaded.reduce((sum, { transferSize }) => sum + transferSize, 0),
    };
  })()`);
};

const stack = await startMeasuredStack({ env: { LOG_LEVEL: 'warn' } });
const browser = await startBrowser();
try {
  for (let i = 0; i < 20; i++) {
    const { id } = await createBatch(stack.client, inputOf(5));
    await untilBatch(stack.client, id);
  }
  const [first, again]: [Opening[], Opening[]] = [[], []];
  for (let i = 0; i < Number(values.opens); i++) {
    const opened = await browser.open();
    await opened.page.addInitScript(noteFirstRow);
    await opened.page.goto(stack.api.url);
    first.push(await measure(opened.page));
    await opened.page.goto('about:blank');
    await opened.page.goto(stack.api.url);
    again.push(await measure(opened.page));
    await opened.close();
  }
  const show = (what: string, openings: readonly Opening[]): void => {
    const at = (pick: (opening: Opening) => number): string => {
      const times = openings.map(pick);
      return `p50 ${quantile(times, 0.5).toFixed(0)}, p95 ${quantile(times, 0.95).toFixed(0)} ms`;
    };
    console.log(`${what}: first paint ${at(({ paintMs }) => paintMs)}; first row ${at(({ rowMs }) => rowMs)}`);
  };
  show('without a cache', first);
  show('with a cache', again);
  console.log(`requests ${first[0]?.requests}, ${((first[0]?.bytes ?? 0) / 1000).toFixed(0)} kB`);
} finally {
  await browser.close();
  await stack.stop();
}
