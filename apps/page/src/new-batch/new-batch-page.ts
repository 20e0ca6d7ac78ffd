import { useEffect, useMemo } from 'preact/hooks';
import { html } from '../html.ts';
import { usePage } from '../shell/context.ts';
import { hrefOf } from '../shell/route.ts';
import { BatchFields } from './batch-fields.ts';
import { Check } from './check.ts';
import { createDraftStore } from './draft.ts';
import { createNewBatch } from './new-batch.ts';
import { Preview } from './preview.ts';
import { RequestFields } from './request-fields.ts';
import { Source } from './source.ts';

/** Where a batch is made: of a file or of pasted prompts, with a preview and a price before anything is called. */
export const NewBatchPage = () => {
  const { client, router, storage } = usePage();
  const form = useMemo(
    () =>
      createNewBatch({
        client,
        store: createDraftStore(storage),
        onCreated: (id) => router.go({ name: 'batch', id }),
      }),
    [client],
  );
  useEffect(() => {
    document.title = 'New batch · Promptmill';
    form.begin();
    return form.stop;
  }, [form]);

  return html`
    <p class="back"><a href=${hrefOf({ name: 'batches' })}>← Batches</a></p>
    <div class="head"><h1>New batch</h1></div>
    <div class="making">
      <fieldset class="stack" disabled=${form.busy.value !== undefined}>
        <${Source} form=${form} />
        <${RequestFields} form=${form} />
        <${BatchFields} form=${form} />
      </fieldset>
      <div class="stack result-side">
        <${Preview} form=${form} />
        <${Check} form=${form} />
      </div>
    </div>
  `;
};
