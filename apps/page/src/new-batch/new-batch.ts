import { signal } from '@preact/signals';
import type { BatchEstimate, FilePreview } from '../api/answers.ts';
import { type ApiClient, newIdempotencyKey } from '../api/api-client.ts';
import { ApiError, messageOf } from '../api/api-error.ts';
import { batchBodyOf, conversionOf, type createDraftStore, type Draft } from './draft.ts';
import { isOfFile, type PartialUpload, uploadInParts } from './upload-in-parts.ts';

export interface NewBatchOptions {
  readonly client: ApiClient;
  readonly store: ReturnType<typeof createDraftStore>;
  /** Goes to the batch that was created. */
  readonly onCreated: (id: string) => void;
}

/** An input file that was made of the whole file of prompts, and what a batch of it will use. */
interface Checked {
  readonly fileId: string;
  readonly endpoint: string;
  readonly requests: number;
  /** Undefined when nothing can be said. */
  readonly estimate: BatchEstimate | undefined;
  /** So that a repeat of the creation makes no second batch. */
  readonly key: string;
}

/** How long after the last key the preview is made again. */
const typingMs = 300;

/** What a conversion depends on: as long as it stays, so does the input file that was made. */
const madeOf = (draft: Draft): string => JSON.stringify([draft.source?.fileId, conversionOf(draft)]);

/** The upload cannot go on, since it is over or was swept: a new one can begin. */
const isOver = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 404 || error.code?.startsWith('upload_') === true);

/** Everything of the view where a batch is made: what is filled in, the upload, the preview, the check. */
export const createNewBatch = ({ client, store, onCreated }: NewBatchOptions) => {
  const draft = signal(store.read());
  const models = signal<readonly string[]>([]);
  /** The file whose upload broke off in this tab, and can go on without being chosen again. */
  const atHand = signal<File | undefined>(undefined);
  /** The upload that is under way. */
  const sending = signal<{ readonly name: string } | undefined>(undefined);
  const sendProblem = signal<string | undefined>(undefined);
  const preview = signal<FilePreview | undefined>(undefined);
  const previewProblem = signal<string | undefined>(undefined);
  const checked = signal<Checked | undefined>(undefined);
  const problems = signal<readonly string[]>([]);
  const busy = signal<'checking' | 'creating' | undefined>(undefined);
  let left = new AbortController();
  let upload = new AbortController();
  let looking = new AbortController();
  let typing: ReturnType<typeof setTimeout> | undefined;

  /** Forgets the input file that was made. It would expire by itself. */
  const dropCheck = (): void => {
    problems.value = [];
    const file = checked.value?.fileId;
    checked.value = undefined;
    if (file !== undefined) client.deleteFile(file).catch(() => {});
  };

  const look = async (): Promise<void> => {
    looking.abort();
    looking = new AbortController();
    const { signal: stopped } = looking;
    const { source } = draft.value;
    const conversion = conversionOf(draft.value);
    previewProblem.value = 'problem' in conversion ? conversion.problem : undefined;
    if (!source) preview.value = undefined;
    if (!source || 'problem' in conversion) return;
    try {
      preview.value = await client.previewFile(source.fileId, conversion, stopped);
    } catch (error) {
      if (!stopped.aborted) previewProblem.value = messageOf(error);
    }
  };

  const change = (part: Partial<Draft>): void => {
    const before = madeOf(draft.value);
    draft.value = { ...draft.value, ...part };
    store.write(draft.value);
    if (madeOf(draft.value) === before) return;
    dropCheck();
    clearTimeout(typing);
    typing = setTimeout(() => void look(), 'source' in part ? 0 : typingMs);
  };

  const send = async (file: File): Promise<void> => {
    if (file.size === 0) return void (sendProblem.value = `${file.name} is empty.`);
    upload = new AbortController();
    sendProblem.value = undefined;
    sending.value = file;
    atHand.value = file;
    const sendFrom = (from: PartialUpload | undefined) =>
      uploadInParts({
        client,
        file,
        upload: from,
        onUpload: (next) => change({ upload: next }),
        signal: upload.signal,
      });
    const begun = draft.value.upload;
    const from = begun && isOfFile(begun, file) ? begun : undefined;
    try {
      const { id, bytes } = await sendFrom(from).catch((error: unknown) => {
        if (from && isOver(error)) return sendFrom(undefined);
        throw error;
      });
      atHand.value = undefined;
      change({ upload: undefined, source: { fileId: id, name: file.name, bytes } });
    } catch (error) {
      if (!upload.signal.aborted) sendProblem.value = messageOf(error);
    }
    sending.value = undefined;
  };

  const check = async (): Promise<void> => {
    const { source } = draft.value;
    const conversion = conversionOf(draft.value);
    if (!source) return void (problems.value = ['Choose a file of prompts, or paste some.']);
    if ('problem' in conversion) return void (problems.value = [conversion.problem]);
    dropCheck();
    const made = await client.convertFile(source.fileId, conversion, left.signal);
    const { file, endpoint, requests } = made;
    if (!file || endpoint === null) return void (problems.value = made.problems);
    try {
      const estimate = await client
        .estimateBatch(batchBodyOf(draft.value, file.id, endpoint), left.signal)
        .catch((error: unknown) => {
          if (error instanceof ApiError && error.code === 'not_estimable') return undefined;
          throw error;
        });
      checked.value = { fileId: file.id, endpoint, requests, estimate, key: newIdempotencyKey() };
    } catch (error) {
      client.deleteFile(file.id).catch(() => {});
      throw error;
    }
  };

  const create = async (): Promise<void> => {
    const { fileId, endpoint, key } = checked.value ?? {};
    if (fileId === undefined || endpoint === undefined || key === undefined) return;
    const { id } = await client.createBatch(batchBodyOf(draft.value, fileId, endpoint), key);
    // The batch needs its file.
    checked.value = undefined;
    store.clear();
    onCreated(id);
  };

  /** Runs a step that nothing else may interrupt, and shows why it failed. */
  const busyWith = async (what: 'checking' | 'creating', step: () => Promise<void>): Promise<void> => {
    if (busy.value !== undefined) return;
    busy.value = what;
    problems.value = [];
    try {
      await step();
    } catch (error) {
      if (!left.signal.aborted) problems.value = [messageOf(error)];
    }
    busy.value = undefined;
  };

  return {
    draft,
    models,
    atHand,
    sending,
    sendProblem,
    preview,
    previewProblem,
    checked,
    problems,
    busy,
    change,
    send,
    /** Ends the upload, and forgets it. */
    cancelUpload: (): void => {
      upload.abort();
      const id = draft.value.upload?.id;
      if (id !== undefined) client.cancelUpload(id).catch(() => {});
      change({ upload: undefined });
    },
    /** Makes room for another file of prompts. The server removes the old one after a day. */
    dropSource: (): void => change({ source: undefined, idColumn: '', format: '' }),
    check: () => busyWith('checking', check),
    create: () => busyWith('creating', create),
    begin(): void {
      left = new AbortController();
      client.listModels().then(
        (found) => (models.value = found),
        () => {},
      );
      void look();
    },
    stop: (): void => {
      clearTimeout(typing);
      for (const each of [left, upload, looking]) each.abort();
      dropCheck();
    },
  };
};

export type NewBatch = ReturnType<typeof createNewBatch>;
