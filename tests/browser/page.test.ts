import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeSegmentEntry, newBatchId, newFileId, type Outcome, segmentFolder, toResult } from '@promptmill/core';
import { createDiskStore } from '@promptmill/files';
import { closeRedis, connectRedis, createBatchStore, createKeys } from '@promptmill/queue';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest';
import { untilBatch } from '../support/batches.ts';
import { executablePath, type OpenPage, startBrowser, type TestBrowser } from '../support/browser.ts';
import { pricedConfig } from '../support/costs.ts';
import { inLongForm } from '../support/long-form.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { startReceiver } from '../support/webhook-receiver.ts';

const keys = { alice: 'alice-key-0001', bob: 'bob-key-00001', admin: 'admin-key-0001' };

describe.runIf(executablePath)('the page (needs Chromium or Chrome)', () => {
  let stack: Stack;
  let browser: TestBrowser;
  let opened: OpenPage;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      env: {
        PROMPTMILL_API_KEYS: `alice:${keys.alice},bob:${keys.bob}`,
        PROMPTMILL_ADMIN_KEY: keys.admin,
        SIMULATOR_LATENCY_MS: '20',
        SIMULATOR_CHUNK_DELAY_MS: '60',
        PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS: 'true',
      },
      // With prices, so that a cost can be limited.
      files: { 'promptmill.yaml': pricedConfig() },
    });
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await stack.stop();
  });

  beforeEach(async () => {
    opened = await browser.open();
  });
  afterEach(async () => {
    const { problems, hosts } = opened;
    await opened.close();
    const foreign = [...hosts].filter((host) => host !== new URL(stack.api.url).host);
    const wrong = [...problems, ...foreign.map((host) => `it asked ${host}`)];
    if (wrong.length > 0) throw new Error(`the page has problems:\n${wrong.join('\n')}`);
  });

  const clientOf = (who: keyof typeof keys) =>
    new OpenAI({ baseURL: `${stack.api.url}/v1`, apiKey: keys[who], maxRetries: 2 });

  const createBatch = async (prompts: readonly string[], more: object = {}, who: keyof typeof keys = 'alice') => {
    const body = { model: 'simulator/echo', prompts, ...more } as unknown as OpenAI.Batches.BatchCreateParams;
    return (await clientOf(who).batches.create(body)).id;
  };
  const ended = (id: string, who: keyof typeof keys = 'alice') => untilBatch(clientOf(who), id);

  const signIn = async (who: keyof typeof keys): Promise<void> => {
    const { page } = opened;
    await page.goto(stack.api.url);
    await page.getByLabel('API key').fill(keys[who]);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Batches' }).waitFor();
  };
  const openBatch = async (id: string): Promise<void> => {
    await signIn('alice');
    await opened.page.goto(`${stack.api.url}/#/batches/${id}`);
    await opened.page.getByRole('heading', { name: 'Progress' }).waitFor();
  };
  /** What a figure of the batch says, such as `12 of 20`. */
  const figure = (name: string) =>
    opened.page
      .locator('.figures div')
      .filter({ has: opened.page.getByText(name, { exact: true }) })
      .locator('dd');

  it('asks for a key, keeps it for the tab and out of the URL, and forgets it', async () => {
    const { page, problems } = opened;
    await page.goto(stack.api.url);
    await page.getByLabel('API key').fill('guessed-key-0001');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This key is not known here.').waitFor();
    // The browser itself notes the refusal.
    expect(problems.splice(0)).toEqual([expect.stringContaining('401')]);
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('sign-in');

    await page.getByLabel('API key').fill(keys.alice);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Batches' }).waitFor();
    await page.getByText('alice', { exact: true }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Batches' }).waitFor();
    expect(page.url()).not.toContain(keys.alice);
    expect(await page.evaluate('[localStorage.length, document.cookie]')).toEqual([0, '']);

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('API key').waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  it('lists batches as they come and go on, and narrows the list', async () => {
    const { page } = opened;
    await signIn('alice');
    const slow = await createBatch(['[[sim:latency=60000]] a', 'b'], { metadata: { name: 'A slow one' } });
    const quick = await createBatch(['a', 'b', '[[sim:status=400]] c'], { metadata: { name: 'A quick one' } });
    const rowOf = (name: string) => page.getByRole('listitem').filter({ hasText: name });
    await rowOf('A quick one').getByText('Completed').waitFor();
    await rowOf('A quick one').getByText('1 failed · 33 %').waitFor();
    await rowOf('A slow one').getByText('Running').waitFor();
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('batches');

    await page.keyboard.press('/');
    await page.keyboard.type('quick');
    await expect.poll(() => page.getByRole('listitem').count()).toBe(1);
    await page.getByLabel('Search batches').fill('');
    await page.getByRole('button', { name: 'Running' }).click();
    await expect.poll(() => page.getByRole('listitem').count()).toBe(1);
    await rowOf('A slow one').waitFor();
    await page.getByLabel('Search batches').fill('nothing like it');
    await page.getByText('No batch matches.').waitFor();
    await clientOf('alice').batches.cancel(slow);
    await ended(quick);
  });

  it('shows why a batch waits, in words', async () => {
    const id = await createBatch(['[[sim:status=429;retry-after=6;times=1]] a', 'b']);
    await openBatch(id);
    await opened.page.getByText('simulator has to be called less often (429). It is tried again in').waitFor();
    await opened.takePictures('batch-waiting');
    await ended(id);
    await opened.page.locator('h1').getByText('Completed').waitFor();
  });

  it('follows a batch, and shows each prompt beside its answer as they come', async () => {
    const { page } = opened;
    const prompts = Array.from(
      { length: 60 },
      (_, i) => `${i === 0 ? '[[sim:status=500;times=1]] ' : ''}[[sim:latency=${i * 15}]] Tell me about ${i}`,
    );
    const id = await createBatch(prompts, { metadata: { name: 'Stories' } });
    await openBatch(id);
    await page.getByRole('button', { name: /request-1 .*Tell me about 0/ }).waitFor();
    await expect.poll(() => figure('Retries').textContent()).toBe('1');
    await opened.takePictures('batch-running');
    await ended(id);
    await page.locator('h1').getByText('Completed').waitFor();
    await expect.poll(() => figure('Done').textContent()).toContain('60of 60');
    await page.getByRole('img', { name: 'Progress over time: 60 done and 0 failed' }).waitFor();

    const row = page.getByRole('button', { name: /^request-7 / });
    await row.click();
    await page.getByRole('heading', { name: 'Prompt' }).waitFor();
    await page.getByRole('button', { name: 'Show raw JSON' }).click();
    await page.getByText('"custom_id": "request-7"').first().waitFor();
    await page.getByLabel('Search results').fill('about 59');
    await expect.poll(() => page.locator('.results li').count()).toBe(1);
    expect(await opened.accessibilityProblems()).toEqual([]);
    await page.reload();
    await page.getByText('Stories').first().waitFor();
  });

  it('shows answers while they are written', async () => {
    const { page } = opened;
    const text = 'one word after another until the end of a long answer '.repeat(40);
    const id = await createBatch([text, text], { params: { stream: true } });
    await openBatch(id);
    await page.getByRole('heading', { name: 'Being written' }).waitFor();
    await page.locator('.live').getByText('one word after another').first().waitFor();
    await opened.takePictures('batch-streaming');
    await clientOf('alice').batches.cancel(id);
    await ended(id);
    await expect.poll(() => page.getByRole('heading', { name: 'Being written' }).count()).toBe(0);
  });

  it('groups what failed, shows the lines behind a count, and runs them again', async () => {
    const { page } = opened;
    const faults = ['[[sim:status=400]] ', '[[sim:status=422]] ', '', '', ''];
    const id = await createBatch(Array.from({ length: 50 }, (_, i) => `${faults[i % 5]}Classify ${i}`));
    await ended(id);
    await openBatch(id);
    const group = page.locator('.groups li').filter({ hasText: 'unprocessable_entity' });
    await expect.poll(() => group.textContent()).toMatch(/^10unprocessable_entity request-2: /);
    await opened.takePictures('batch-failures');
    await group.getByRole('button', { name: 'Show' }).click();
    await expect.poll(() => page.locator('.results li').count()).toBe(10);
    await page.getByRole('button', { name: /^request-2 .*Classify 1/ }).waitFor();
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await page.getByRole('button', { name: 'Next failed' }).click();
    await expect.poll(() => page.evaluate('document.activeElement.textContent')).toContain('request-1');
    await figure('Failed').getByRole('button').click();
    await expect.poll(() => page.locator('.results li').count()).toBe(20);
    expect(await opened.accessibilityProblems()).toEqual([]);

    await group.getByRole('button', { name: 'Retry' }).click();
    await page.getByText('A new batch runs 10 requests again.').waitFor();
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('retry');
    await page.getByRole('button', { name: 'Make the batch' }).click();
    await page.getByText('Runs requests again of').waitFor();
    await expect.poll(() => page.url()).not.toContain(id);
    await expect.poll(() => figure('Failed').textContent()).toContain('10');
  });

  it('pauses, resumes and cancels, and says before what will happen', async () => {
    const { page } = opened;
    const id = await createBatch(Array.from({ length: 500 }, (_, i) => `[[sim:latency=2000]] ${i}`));
    await openBatch(id);
    const act = async (word: string, said: string, button = word): Promise<void> => {
      await page.getByRole('group', { name: 'Actions' }).getByRole('button', { name: word }).click();
      await page.getByRole('dialog').getByText(said).waitFor();
      await page.getByRole('dialog').getByRole('button', { name: button, exact: true }).click();
      await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
    };
    await act('Pause', 'No call begins from 2 seconds after that');
    await page.getByText('Paused. Resume it to go on.').waitFor();
    await opened.takePictures('batch-paused');
    await act('Resume', 'It goes on where it was');
    await page.locator('h1').getByText('Running').waitFor();
    await act('Cancel', 'will not run', 'Cancel the batch');
    await ended(id);
    await page.locator('h1').getByText('Cancelled').waitFor();
    await page.getByRole('button', { name: 'Retry failed' }).waitFor();
  });

  it('raises the limit of what a batch may cost', async () => {
    const { page } = opened;
    const prompts = Array.from({ length: 60 }, (_, i) => `${i} ${'word '.repeat(40)}`);
    const id = await createBatch(prompts, { promptmill: { max_cost: 0.05 } });
    await openBatch(id);
    await page.getByText('Raise the limit to go on.').waitFor();
    await page.getByRole('button', { name: 'Raise cost limit' }).click();
    await page.getByLabel('It may cost at most, in USD').fill('0.01');
    await page.getByRole('button', { name: 'Set the limit' }).click();
    await page.getByText(/Enter more than 0\.0/).waitFor();
    expect(await page.getByLabel('It may cost at most, in USD').inputValue()).toBe('0.01');
    await page.getByLabel('It may cost at most, in USD').fill('100');
    await page.getByRole('button', { name: 'Set the limit' }).click();
    await ended(id);
    await page.locator('h1').getByText('Completed').waitFor();
  });

  it('saves the files of a batch, with the key in no URL', async () => {
    const { page } = opened;
    const id = await createBatch(['one', 'two']);
    const { output_file_id: fileId } = await ended(id);
    await openBatch(id);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download answers' }).click(),
    ]);
    const saved = await readFile(await download.path(), 'utf8');
    expect(saved).toBe(await (await clientOf('alice').files.content(fileId ?? '')).text());
    expect(download.url()).toMatch(/^blob:/);
  });

  it('shows what is wrong with an input that was refused', async () => {
    const client = clientOf('alice');
    const file = await client.files.create({
      file: new File(['{"custom_id": "a"}\nno JSON\n'], 'bad.jsonl'),
      purpose: 'batch',
    });
    const terms = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    const { id } = await client.batches.create({ input_file_id: file.id, ...terms });
    await ended(id);
    await openBatch(id);
    await opened.page.getByRole('heading', { name: 'What is wrong with its input' }).waitFor();
    await opened.page.getByText('line 2').waitFor();
    expect(await opened.accessibilityProblems()).toEqual([]);
  });

  it('shows each tenant its own, and lets an admin cancel without reading', async () => {
    const { page, problems } = opened;
    const id = await createBatch(
      Array.from({ length: 300 }, (_, i) => `[[sim:latency=2000]] ${i}`),
      {
        metadata: { name: 'Only for alice' },
      },
    );
    await signIn('bob');
    await page.getByText('No batches yet.').waitFor();
    await page.goto(`${stack.api.url}/#/batches/${id}`);
    await page.getByText(`No batch found with id '${id}'.`).waitFor();
    expect(problems.splice(0)).toEqual(expect.arrayContaining([expect.stringContaining('404')]));
    await page.getByRole('button', { name: 'Sign out' }).click();

    await signIn('admin');
    await page.getByLabel('Tenant').selectOption('alice');
    const row = page.getByRole('listitem').filter({ hasText: id.slice(-4) });
    await row.getByText('Running').waitFor();
    expect(await row.getByRole('link').count()).toBe(0);
    expect(await page.content()).not.toContain('Only for alice');
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('admin');
    await row.getByRole('button', { name: `Cancel ${id}` }).click();
    await page.getByRole('button', { name: 'Cancel the batch' }).click();
    await row.getByText(/Cancell/).waitFor();
    await ended(id);
  });

  const openView = async (name: 'Lanes' | 'Use' | 'Webhooks'): Promise<void> => {
    await opened.page.getByRole('navigation').getByRole('link', { name }).click();
    await opened.page.getByRole('heading', { name, level: 1 }).waitFor();
  };

  it('shows why a lane is held and how its provider failed, and lets an admin change its limits', async () => {
    const { page } = opened;
    await signIn('alice');
    await openView('Lanes');
    const held = await createBatch(['[[sim:status=429;retry-after=5;times=1]] a', 'b']);
    const card = page.getByRole('listitem', { name: 'simulator', exact: true });
    await card.getByText('simulator has to be called less often (429). It is tried again in').waitFor();
    await card.getByText('rate_limited (429)').waitFor();
    expect(await page.getByRole('button', { name: /^Change limits/ }).count()).toBe(0);
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('lanes-held');
    await page.getByRole('button', { name: /^Show \d+ lanes without a key/ }).click();
    await page.getByRole('listitem', { name: 'openai', exact: true }).getByText('No key').waitFor();
    await ended(held);
    await page.getByRole('button', { name: 'Sign out' }).click();

    await signIn('admin');
    await openView('Lanes');
    await card.getByText('Idle').waitFor();
    const setLimits = async (limits: Readonly<Record<string, string>>): Promise<void> => {
      await card.getByRole('button', { name: 'Change limits of simulator' }).click();
      await page.getByText('All workers keep to them from their next call on.').waitFor();
      for (const [label, text] of Object.entries(limits)) await page.getByLabel(label).fill(text);
      await page.getByRole('button', { name: 'Set the limits' }).click();
    };
    await setLimits({ 'Calls in flight': 'none' });
    await page.getByText('Calls in flight: enter a whole number above 0').waitFor();
    expect(await page.getByLabel('Calls in flight').inputValue()).toBe('none');
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('change-limits');
    await page.getByRole('button', { name: 'Not now' }).click();
    await setLimits({ 'Calls in flight': '3', 'Tokens a minute': '500,000' });
    await card.getByText('3 calls in flight, 500K tokens a minute').waitFor();
    await card.getByText('changed').waitFor();

    const id = await createBatch(Array.from({ length: 40 }, (_, i) => `[[sim:latency=1000]] ${i}`));
    await page.getByRole('img', { name: 'In flight: 3 of 3' }).waitFor();
    // The workers estimate the tokens of calls from now on.
    await page.getByRole('img', { name: /^Tokens this minute: [1-9]\d* of 500,000$/ }).waitFor();
    await opened.takePictures('lanes');
    await setLimits({ 'Calls in flight': '', 'Tokens a minute': '' });
    await expect.poll(() => card.getByText('changed').count()).toBe(0);
    await clientOf('alice').batches.cancel(id);
    await ended(id);
  });

  it('shows what webhooks were told and why it did not come, and sends it again', async () => {
    const { page } = opened;
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    receiver.answerWithStatus(503);
    const client = clientOf('alice');
    const body = { url: receiver.url, events: ['batch.completed'] };
    const webhook = await client.post<{ id: string }>('/webhooks', { body });
    onTestFinished(() => void client.delete(`/webhooks/${webhook.id}`));
    const id = await createBatch(['one']);
    await ended(id);
    await signIn('alice');
    await openView('Webhooks');
    const list = page.getByRole('list', { name: receiver.url });
    await list.getByText('1 failed: It answered with status 503.').waitFor();
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('webhooks');
    receiver.answerWithStatus(204);
    await list.getByRole('button', { name: /^Send again: batch.completed of / }).click();
    await list.getByText('Delivered').waitFor();
    await list.getByRole('link').click();
    await page.getByRole('heading', { name: 'Progress' }).waitFor();
    expect(page.url()).toContain(id);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await signIn('bob');
    await openView('Webhooks');
    await page.getByText('No webhooks.').waitFor();
  });

  it('shows what was used by day and model, and an admin what each tenant used', async () => {
    const { page } = opened;
    await ended(await createBatch(['one', 'two', 'three']));
    await ended(await createBatch(['four'], {}, 'bob'), 'bob');
    await signIn('alice');
    await openView('Use');
    const byModel = page.getByRole('table', { name: 'By model' });
    await byModel.getByRole('rowheader', { name: 'simulator/echo' }).waitFor();
    await page.getByRole('img', { name: /^Cost by day: \$[\d.]+ in 30 days$/ }).waitFor();
    await page.locator('.chart canvas').waitFor();
    expect(await page.getByRole('table', { name: 'By tenant' }).count()).toBe(0);
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('use');
    await page.getByRole('button', { name: 'Tokens' }).click();
    await page.getByRole('button', { name: '7 days' }).click();
    await page.getByRole('img', { name: /^Tokens by day: \S+ in 7 days$/ }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();

    await signIn('admin');
    await openView('Use');
    const byTenant = page.getByRole('table', { name: 'By tenant' });
    for (const name of ['alice', 'bob']) await byTenant.getByRole('rowheader', { name, exact: true }).waitFor();
    expect(await opened.accessibilityProblems()).toEqual([]);
    await opened.takePictures('use-admin');
    await page.getByRole('combobox', { name: 'Tenant' }).selectOption('bob');
    await expect.poll(() => byTenant.count()).toBe(0);
    const answers = byModel
      .getByRole('row', { name: /^simulator\/echo/ })
      .getByRole('cell')
      .first();
    await expect.poll(() => answers.textContent()).toBe('1');
  });

  describe.runIf(inLongForm)('with much in it', () => {
    let redis: ReturnType<typeof connectRedis>;

    beforeAll(() => {
      redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
    });
    afterAll(() => closeRedis(redis));

    const countOf = (selector: string): Promise<number> => opened.page.locator(selector).count();

    it('has no more of a long list in the page than fits the screen', async () => {
      const { page } = opened;
      const store = createBatchStore(redis, createKeys(stack.prefix));
      const tenant = 'bob';
      const nowMs = Date.now();
      const count = 3000;
      await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const id = newBatchId();
          const atMs = nowMs - (count - i) * 1000;
          const createdAt = Math.floor(atMs / 1000);
          await store.create({
            id,
            tenant,
            endpoint: '/v1/chat/completions',
            inputFileId: newFileId(),
            completionWindow: '24h',
            metadata: { name: `Number ${i}` },
            outputFileId: newFileId(),
            errorFileId: newFileId(),
            createdAt,
            expiresAt: createdAt + 86_400,
          });
          await store.confirmCreated({ id, tenant }, atMs);
        }),
      );
      await signIn('bob');
      await page.getByText('Number 2999').waitFor();
      for (
        let known = 0;
        known < 400;
        known = Number((await page.locator('.head p').textContent())?.match(/\d+/)?.[0])
      ) {
        await page.mouse.wheel(0, 5000);
        expect(await countOf('.row')).toBeLessThan(50);
      }
      // What is far down is kept up to date too.
      const last = page.locator('.row').nth(10);
      const name = (await last.locator('strong').textContent()) ?? '';
      const { items } =
        (await store.find(tenant, { limit: 1, matches: ({ metadata }) => metadata?.['name'] === name })) ?? {};
      await store.transition(items?.[0]?.id ?? '', 'failed', Date.now());
      await page.locator('.row').filter({ hasText: name }).getByText('Refused').waitFor();
      await page.getByLabel('Search batches').fill('number 77');
      await page.getByText('Number 77', { exact: true }).waitFor();
      await expect.poll(() => countOf('.row')).toBe(11);
    });

    it('opens a batch of a million requests, and finds the failures in it', async () => {
      const { page } = opened;
      const id = await createBatch(Array.from({ length: 3 }, (_, i) => `[[sim:latency=60000]] ${i}`));
      await untilBatch(clientOf('alice'), id, ({ status }) => status === 'in_progress');
      await clientOf('alice').post(`/batches/${id}/pause`);
      const keysOf = createKeys(stack.prefix);
      const files = createDiskStore({ directory: join(stack.directory, 'data/store') });
      const ofSegment = 10_000;
      const segments = 20;
      for (let segment = 0; segment < segments; segment++) {
        const name = `${segment * ofSegment}-${(segment + 1) * ofSegment - 1}-00000000-a${segment}`;
        const entries = Array.from({ length: ofSegment }, (_, i) => {
          const index = segment * ofSegment + i;
          const json = JSON.stringify({ choices: [{ message: { content: `An answer to ${index}` } }] });
          const outcome: Outcome =
            i === 9_999
              ? { kind: 'error', code: 'request_timeout', message: 'No answer in 30 s.' }
              : { kind: 'response', statusCode: 200, requestId: 'r', json };
          const request = { batchId: id, index, customId: `r${index}` };
          return encodeSegmentEntry({ index, bytes: 100, ...toResult(request, outcome) });
        });
        await files.put(`${segmentFolder(id)}${name}`, entries.join(''));
        await redis.rpush(keysOf.segments(id), name);
      }
      await redis.hset(keysOf.batch(id), { total: 1_000_000, completed: 199_980, failed: 20, dispatched: 200_003 });
      await openBatch(id);
      await page.getByText('An answer to 49').waitFor();
      await expect.poll(() => figure('Done').textContent()).toBe('199,980of 1,000,000');
      await expect.poll(() => page.locator('.groups').textContent()).toMatch(/^20request_timeout r9999: /);
      await page.getByRole('button', { name: 'Show requests that failed with request_timeout' }).click();
      await expect.poll(() => countOf('.results li')).toBe(20);
      expect(await countOf('*')).toBeLessThan(1500);
      await clientOf('alice').batches.cancel(id);
    });
  });

  describe('a new batch', () => {
    const openNew = async (): Promise<void> => {
      await signIn('alice');
      await opened.page.getByRole('link', { name: 'New batch' }).click();
      await opened.page.getByRole('heading', { name: 'New batch' }).waitFor();
    };
    const chooseFile = (name: string, content: string): Promise<void> =>
      opened.page
        .getByLabel(/Drop a file of prompts here/)
        .setInputFiles({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) });
    const preview = () => opened.page.getByRole('region', { name: 'The first requests' });
    const check = () => opened.page.getByRole('region', { name: 'Check and create' });

    it('is made of a table and a template, with a preview and a price, and watched live', async () => {
      const { page } = opened;
      await openNew();
      expect(await opened.accessibilityProblems()).toEqual([]);
      await opened.takePictures('new-empty');
      const reviews = Array.from({ length: 40 }, (_, i) => `r${i},"Good, number ${i}"\n`).join('');
      await chooseFile('reviews.csv', `id,review\n${reviews}`);
      await preview().getByText('Write what to ask of each row.').waitFor();

      await page.getByLabel('Model').fill('simulator/echo');
      await page.getByLabel('Prompt', { exact: true }).fill('[[sim:latency=400]] Rate: ');
      await page.getByRole('button', { name: '{{review}}' }).click();
      await page.getByText('Rate: Good, number 0').waitFor();
      await page.getByLabel('System message').fill('You rate {{revue}}.');
      await preview().getByText('no column `revue`: the columns are id, review').waitFor();
      await opened.takePictures('new-problem');
      await page.getByLabel('System message').fill('You rate reviews.');
      await page.getByText('More', { exact: true }).click();
      await page.getByLabel('Id column').selectOption('id');
      await page.getByLabel('Max tokens').fill('50');
      await preview().getByText('r4', { exact: true }).waitFor();
      await opened.takePictures('new-filled');
      expect(await opened.accessibilityProblems()).toEqual([]);

      await page.reload();
      await preview().getByText('Rate: Good, number 4').waitFor();
      await page.getByRole('button', { name: 'Check and estimate' }).click();
      await check().getByText('40 requests. Nothing was called yet.').waitFor();
      // What is known of the model's answers so far decides how much can be said.
      expect(await check().textContent()).toMatch(
        /Tokens in[\d,]+Tokens out(about|at most) [\d,]+Price(about )?\$0\.\d/,
      );
      expect(await opened.accessibilityProblems()).toEqual([]);
      await opened.takePictures('new-checked');

      await page.getByRole('button', { name: 'Create the batch' }).click();
      await page.locator('h1').getByText('reviews.csv').waitFor();
      await page.getByRole('button', { name: /^r0 .*Rate: Good, number 0/ }).waitFor();
      await page.locator('h1').getByText('Completed').waitFor();
      await expect.poll(() => figure('Done').textContent()).toContain('40of 40');
      await page.getByRole('link', { name: '← Batches' }).click();
      await page.getByRole('link', { name: 'New batch' }).click();
      await page.getByLabel(/Drop a file of prompts here/).waitFor({ state: 'attached' });
      expect(await page.getByLabel('Prompt', { exact: true }).inputValue()).toBe('');
    });

    it('is not made of a dropped file with bad lines, whose numbers it says, and is made of pasted prompts', async () => {
      const { page } = opened;
      await openNew();
      const dropped = await page.evaluateHandle(`(() => {
        const data = new DataTransfer();
        data.items.add(new File(['{"prompt": "one"}\\n{"prompt": 2}\\n{"promt": "x"}\\n'], 'bad.jsonl'));
        return data;
      })()`);
      await page.locator('.drop').dispatchEvent('drop', { dataTransfer: dropped });
      await page.getByText('bad.jsonl', { exact: true }).waitFor();
      await page.getByLabel('Model').fill('simulator/echo');
      await page.getByRole('button', { name: 'Check and estimate' }).click();
      await check().getByText('line 2: `prompt` must be a string.').waitFor();
      await check().getByText('line 3: unknown key `promt`').waitFor();
      expect(await opened.accessibilityProblems()).toEqual([]);

      await page.getByRole('button', { name: 'Choose another' }).click();
      await page.getByLabel('Or paste prompts, one a line').fill('one\n\ntwo\n');
      await page.getByRole('button', { name: 'Use these prompts' }).click();
      await page.getByLabel('Model').fill('nobody/else');
      await preview().getByText('nobody').waitFor();
      await page.getByLabel('Model').fill('simulator/echo');
      await page.getByLabel('Name', { exact: true }).fill('Two of them');
      await page.getByRole('button', { name: 'Check and estimate' }).click();
      await page.getByRole('button', { name: 'Create the batch' }).click();
      await page.locator('h1').getByText('Two of them').waitFor();
      await page.locator('h1').getByText('Completed').waitFor();
      await expect.poll(() => figure('Done').textContent()).toContain('2of 2');
    });

    it('goes on with an upload after a reload, from the part that is missing', async () => {
      const { page, problems } = opened;
      await openNew();
      const rows = Array.from({ length: 60_000 }, (_, i) => `r${i},${'x'.repeat(150)}\n`).join('');
      const file = join(stack.directory, 'large.csv');
      await writeFile(file, `id,text\n${rows}`);
      const parts: string[] = [];
      await page.route('**/parts', async (route) => {
        parts.push(route.request().url());
        // The second part never arrives.
        if (parts.length === 2) await route.abort();
        else await route.continue();
      });
      const chooser = page.getByLabel(/Drop a file of prompts here/);
      await chooser.setInputFiles(file);
      await page.getByText('The server cannot be reached').waitFor();
      expect(problems.splice(0)).toEqual([expect.stringContaining('ERR_FAILED')]);
      await page.getByRole('button', { name: 'Go on' }).waitFor();
      await page.reload();
      await page.getByText('large.csv').waitFor();
      await page.getByText('4.2 MB of 9.5 MB are there').waitFor();
      expect(await opened.accessibilityProblems()).toEqual([]);
      await opened.takePictures('new-unfinished');
      await chooser.setInputFiles(file);
      await page.getByRole('button', { name: 'Choose another' }).waitFor();
      await page.getByLabel('Prompt', { exact: true }).fill('{{text}}');
      await page.getByLabel('Model').fill('simulator/echo');
      await preview().getByText('request-5', { exact: true }).waitFor();
      // One upload, of three parts; the second was sent twice.
      expect([new Set(parts).size, parts.length]).toEqual([1, 4]);
    });
  });

  it('leads back to the sign-in when its key is not accepted any more', async () => {
    const { page, problems } = opened;
    await signIn('alice');
    await page.evaluate("sessionStorage.setItem('promptmill-key', 'revoked-key-0001')");
    await page.reload();
    await page.getByText('Your key is not accepted any more.').waitFor();
    expect(problems.splice(0)).toEqual([expect.stringContaining('401')]);
  });
});
