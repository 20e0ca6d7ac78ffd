import { useEffect, useState } from 'preact/hooks';
import type { BatchObject, FileObject } from '@promptmill/core';
import { messageOf } from '../api/api-error.ts';
import { html } from '../html.ts';
import { formatBytes } from '../parts/format.ts';
import { usePage } from '../shell/context.ts';
import { describeTooLarge, downloadFile } from './download-file.ts';

const FileLine = ({ id, word }: { readonly id: string; readonly word: string }) => {
  const { client } = usePage();
  const [file, setFile] = useState<FileObject | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    client.getFile(id).then(setFile, () => setProblem('It is not kept any more.'));
  }, [id]);

  const save = async (found: FileObject): Promise<void> => {
    const tooLarge = describeTooLarge(found, location.origin);
    if (tooLarge !== undefined) return setProblem(tooLarge);
    setBusy(true);
    await downloadFile(client, found).catch((error: unknown) => setProblem(messageOf(error)));
    setBusy(false);
  };

  return html`<li>
    <span>
      <strong>${word}</strong>
      ${file && html`<span class="muted name" title=${file.filename}>${formatBytes(file.bytes)} · ${file.filename}</span>`}
      ${problem !== undefined && html`<span class="problem" role="alert"> ${problem}</span>`}
    </span>
    ${file && html`<button disabled=${isBusy} onClick=${() => void save(file)} aria-label=${`Download ${word.toLowerCase()}`}>Download</button>`}
  </li>`;
};

/** The files of a batch, each to download. */
export const Files = ({ batch }: { readonly batch: BatchObject }) => {
  const { input_file_id: input, output_file_id: output, error_file_id: errors } = batch;
  return html`<section class="card" aria-labelledby="files-title">
    <h2 id="files-title">Files</h2>
    <ul class="files">
      <${FileLine} key=${input} id=${input} word="Input" />
      ${output !== null && html`<${FileLine} key=${output} id=${output} word="Answers" />`}
      ${errors !== null && html`<${FileLine} key=${errors} id=${errors} word="Errors" />`}
    </ul>
  </section>`;
};
