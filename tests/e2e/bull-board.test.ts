import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { findChromium } from '../support/chromium.ts';
import { type Stack, startStack } from '../support/stack.ts';

const executablePath = findChromium();
const login = { username: 'ops', password: 'open-the-board' };
const screenshots = process.env['SCREENSHOT_DIR'];
const secret = 'a prompt that is much longer than the board shows '.repeat(20);

// Without these flags Chromium asks its own hosts for updates.
const args = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const show = async (page: Page, name: string): Promise<void> => {
  if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`) });
};

describe.runIf(executablePath)('Bull Board in a browser (needs Chromium or Chrome)', () => {
  let stack: Stack;
  let browser: Browser;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      env: {
        BOARD_USER: login.username,
        BOARD_PASSWORD: login.password,
        WORKER_CONCURRENCY: '20',
        SIMULATOR_LATENCY_MS: '100',
      },
    });
    browser = await chromium.launch({ ...(executablePath ? { executablePath } : {}), args });
  });
  afterAll(async () => {
    await browser.close();
    await stack.stop();
  });

  const percentOn = async (page: Page): Promise<number> => {
    const ring = page
      .locator('svg + span, [class*="progress"] text, text')
      .filter({ hasText: /^\d+ ?%$/ })
      .first();
    return Number.parseInt((await ring.textContent()) ?? '', 10);
  };

  it('asks for a login', async () => {
    const answer = await fetch(`${stack.api.url}/admin/queues`);
    expect(answer.status).toBe(401);
    await answer.arrayBuffer();
    const wrong = await browser.newContext({ httpCredentials: { ...login, password: 'guessed' } });
    const page = await wrong.newPage();
    expect((await page.goto(`${stack.api.url}/admin/queues`))?.status()).toBe(401);
    await wrong.close();
  });

  it('draws the progress of a batch as a ring, and shortens its prompts', async () => {
    const context = await browser.newContext({ httpCredentials: login, viewport: { width: 1400, height: 900 } });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => {
      // Bull Board asks for web fonts, and our policy blocks everything from other hosts.
      const isBlockedFont = /fonts\.(googleapis|gstatic)\.com/.test(message.text());
      if (message.type() === 'error' && !isBlockedFont) problems.push(message.text());
    });
    const { id } = await createBatch(
      stack.client,
      inputOf(1500, (i) => `${secret} ${i}`),
    );
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 100);

    await page.goto(`${stack.api.url}/admin/queues/queue/batches?status=active`);
    await page.getByText('input.jsonl · 1,500 requests').first().waitFor();
    await show(page, 'board-batches');

    await page.goto(`${stack.api.url}/admin/queues/queue/batches/${id}`);
    await page
      .getByText(/^\d+ ?%$/)
      .first()
      .waitFor();
    const first = await percentOn(page);
    await show(page, 'board-batch');
    await expect.poll(() => percentOn(page), { timeout: 30_000 }).toBeGreaterThan(first);

    await page.goto(`${stack.api.url}/admin/queues/queue/simulator?status=active`);
    await page.getByText(id).first().waitFor();
    await show(page, 'board-lane');
    expect(await page.content()).not.toContain(secret.slice(0, 400));

    await page.goto(`${stack.api.url}/admin/queues`);
    await page.getByText('lane simulator').first().waitFor();
    await show(page, 'board-overview');
    expect(problems).toEqual([]);

    await untilBatch(stack.client, id);
    await page.goto(`${stack.api.url}/admin/queues/queue/batches/${id}`);
    await expect.poll(() => percentOn(page), { timeout: 10_000 }).toBe(100);
    await context.close();
  });
});
