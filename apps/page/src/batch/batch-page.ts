import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { BatchObject } from '@promptmill/core';
import { isTerminal } from '@promptmill/core/display';
import { nameOf, progressOf } from '../batches/batch-summary.ts';
import { html } from '../html.ts';
import { AskFirst, type Question } from '../parts/ask-first.ts';
import { describeWait } from '../parts/describe-wait.ts';
import { ProgressBar } from '../parts/progress-bar.ts';
import { StatusPill } from '../parts/status-pill.ts';
import { useTimer } from '../parts/use-timer.ts';
import { Results } from '../results/results.ts';
import type { ResultFilter } from '../results/result-list.ts';
import { usePage } from '../shell/context.ts';
import { hrefOf } from '../shell/route.ts';
import { Actions, allowedFor, questionsFor } from './actions.ts';
import { createBatchWatch } from './batch-watch.ts';
import { createFailureCount } from './failure-count.ts';
import { Failures } from './failures.ts';
import { Figures } from './figures.ts';
import { Files } from './files.ts';
import { Links } from './links.ts';
import { LiveAnswers } from './live-answers.ts';
import { ProgressChart } from './progress-chart.ts';
import { Settings } from './settings.ts';
import { Timeline } from './timeline.ts';

const countFailuresMs = 3000;

/** What is wrong with the input of a batch that was refused. */
const InputErrors = ({ batch }: { readonly batch: BatchObject }) =>
  batch.errors &&
  html`<section class="card" aria-labelledby="errors-title">
    <h2 id="errors-title">What is wrong with its input</h2>
    <ul class="groups">
      ${batch.errors.data.map(
        ({ line, code, message }) =>
          html`<li>
            <span class="group-count number muted">${line === null ? '' : `line ${line}`}</span
            ><span class="group-what"><strong>${code}</strong> <span class="muted">${message}</span></span>
          </li>`,
      )}
    </ul>
  </section>`;

/** One batch: how it goes, what failed, its results and files, and what can be done with it. */
export const BatchPage = ({ id }: { readonly id: string }) => {
  const { client, router } = usePage();
  const watch = useMemo(() => createBatchWatch(client, id, Date.now), [client, id]);
  const failures = useMemo(() => createFailureCount(client, id), [client, id]);
  const [question, setQuestion] = useState<Question | undefined>(undefined);
  const [filter, setFilter] = useState<ResultFilter>({});
  const results = useRef<HTMLElement>(null);
  const batch = watch.batch.value;
  const hasEnded = batch !== undefined && isTerminal(batch.status);

  useEffect(() => {
    watch.begin();
    return () => {
      watch.stop();
      failures.stop();
    };
  }, [watch, failures]);
  const hasFailures = hasEnded ? batch.error_file_id !== null : (batch?.request_counts.failed ?? 0) > 0;
  const count = async (): Promise<void> => {
    if (hasFailures) await failures.count(hasEnded);
  };
  useEffect(() => void count().catch(() => {}), [hasFailures, hasEnded]);
  useTimer(count, countFailuresMs);
  useEffect(() => {
    document.title = batch ? `${nameOf(batch)} · Promptmill` : 'Promptmill';
  }, [batch && nameOf(batch)]);

  const back = html`<p class="back"><a href=${hrefOf({ name: 'batches' })}>← Batches</a></p>`;
  if (!batch)
    return html`${back}${watch.problem.value === undefined ? html`<p class="muted" aria-busy="true">Loading …</p>` : html`<p class="problem" role="alert">${watch.problem.value}</p>`}`;

  const nowSeconds = Date.now() / 1000;
  const wait = hasEnded ? undefined : describeWait(batch, nowSeconds);
  const isPaused = batch.promptmill.paused_at !== null && !hasEnded;
  const questions = questionsFor(batch, {
    client,
    onBatch: watch.take,
    onNew: (created) => router.go({ name: 'batch', id: created }),
  });
  const show = (next: ResultFilter): void => {
    setFilter(({ search }) => ({ search, ...next }));
    results.current?.scrollIntoView();
    results.current?.focus({ preventScroll: true });
  };
  return html`
    ${back}
    <div class="head batch-head">
      <div>
        <h1>
          ${nameOf(batch)} <${StatusPill} status=${batch.status} isPaused=${isPaused} isWaiting=${wait !== undefined} />
        </h1>
        <code class="muted">${id}</code>
      </div>
      <${Actions} allowed=${allowedFor(batch)} questions=${questions} onAsk=${setQuestion} />
    </div>
    ${watch.problem.value !== undefined && html`<p class="problem" role="alert">${watch.problem.value}</p>`}
    <p class="banner" role="status" data-acts=${wait?.wantsAction ?? false}>${wait?.text}</p>
    <div class="split">
      <div class="stack">
        <section class="card" aria-labelledby="progress-title">
          <h2 id="progress-title">Progress</h2>
          <${ProgressBar} ...${progressOf(batch)} />
          <${Figures}
            batch=${batch}
            tokensPerSecond=${watch.tokensPerSecond.value}
            nowSeconds=${nowSeconds}
            onShow=${(status: 'completed' | 'failed') => show({ status })}
          />
          ${batch.in_progress_at !== null && html`<${ProgressChart} points=${watch.curve.value} />`}
        </section>
        <${InputErrors} batch=${batch} />
        ${
          failures.groups.value.length > 0 &&
          html`<${Failures}
            groups=${failures.groups.value}
            isCounting=${failures.isCounting.value}
            canRetry=${allowedFor(batch).retry}
            onShow=${(code: string) => show({ status: 'failed', code })}
            onRetry=${({ code, count: many }: { code: string; count: number }) => setQuestion(questions.retryCode(code, many))}
          />`
        }
        ${watch.answers.value.length > 0 && html`<${LiveAnswers} answers=${watch.answers.value} />`}
        <section class="card results-card" ref=${results} tabindex="-1" aria-labelledby="results-title">
          <${Results}
            batchId=${id}
            hasEnded=${hasEnded}
            filter=${filter}
            onFilter=${(change: Partial<ResultFilter>) => setFilter((before) => ({ ...before, ...change }))}
          />
        </section>
      </div>
      <div class="stack">
        <${Timeline} batch=${batch} />
        <${Files} batch=${batch} />
        <${Settings} batch=${batch} />
        <${Links} batch=${batch} />
      </div>
    </div>
    ${question && html`<${AskFirst} question=${question} onClose=${() => setQuestion(undefined)} />`}
  `;
};
