import { html } from '../html.ts';
import type { NewBatch } from './new-batch.ts';
import { TextField } from './text-field.ts';

/** The terms of the batch. */
export const BatchFields = ({ form }: { readonly form: NewBatch }) =>
  html`<section class="card" aria-labelledby="terms-title">
    <h2 id="terms-title">Batch</h2>
    <${TextField}
      form=${form}
      name="name"
      label="Name"
      more=${{ maxlength: 512, placeholder: form.draft.value.source?.name ?? '' }}
    />
    <div class="fields">
      <${TextField}
        form=${form}
        name="window"
        label="Ends within"
        note="From 1m to 30d."
        more=${{ spellcheck: false }}
      />
      <${TextField}
        form=${form}
        name="maxCost"
        label="Cost limit, in USD"
        note="The batch pauses there. Each model needs a known price."
        more=${{ type: 'number', min: 0, step: 'any', placeholder: 'no limit' }}
      />
    </div>
  </section>`;
