import type { Conversion, InputFormat } from '../api/answers.ts';
import type { PartialUpload } from './upload-in-parts.ts';

/** What someone has filled in so far. Texts stand as they were typed; empty: nothing was. */
export interface Draft {
  /** The file of prompts, once it is on the server. */
  readonly source: { readonly fileId: string; readonly name: string; readonly bytes: number } | undefined;
  /** An upload that has begun and not ended. */
  readonly upload: PartialUpload | undefined;
  /** How the file is read; empty: as its name and content say. */
  readonly format: InputFormat | '';
  readonly model: string;
  readonly prompt: string;
  readonly system: string;
  readonly idColumn: string;
  readonly endpoint: string;
  readonly maxTokens: string;
  readonly temperature: string;
  /** Further parameters, a JSON object. */
  readonly params: string;
  readonly name: string;
  readonly window: string;
  readonly maxCost: string;
}

export const emptyDraft: Draft = {
  source: undefined,
  upload: undefined,
  format: '',
  model: '',
  prompt: '',
  system: '',
  idColumn: '',
  endpoint: '/v1/chat/completions',
  maxTokens: '',
  temperature: '',
  params: '',
  name: '',
  window: '24h',
  maxCost: '',
};

const storageName = 'promptmill-new-batch';

type DraftStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** The draft is kept for the tab, so that a reload loses nothing. */
export const createDraftStore = (storage: DraftStorage) => ({
  read(): Draft {
    const kept = storage.getItem(storageName);
    return kept === null ? emptyDraft : { ...emptyDraft, ...(JSON.parse(kept) as Partial<Draft>) };
  },
  write: (draft: Draft): void => storage.setItem(storageName, JSON.stringify(draft)),
  clear: (): void => storage.removeItem(storageName),
});

const parseObject = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
};

/** How the file becomes requests, as the API takes it; or what is wrong with what was typed. */
export const conversionOf = (draft: Draft): Conversion | { readonly problem: string } => {
  const { format, model, prompt, system, idColumn, endpoint, maxTokens, temperature } = draft;
  const further = draft.params.trim() === '' ? {} : parseObject(draft.params);
  if (further === undefined) return { problem: 'Further parameters must be a JSON object, such as {"top_p": 0.9}.' };
  const tokens = Number(maxTokens);
  if (maxTokens !== '' && !(Number.isSafeInteger(tokens) && tokens > 0))
    return { problem: 'Max tokens must be a whole number above 0.' };
  const heat = Number(temperature);
  if (temperature !== '' && !(heat >= 0 && heat <= 2)) return { problem: 'The temperature must be from 0 to 2.' };
  const params = {
    ...further,
    ...(maxTokens === '' ? {} : { [endpoint === '/v1/responses' ? 'max_output_tokens' : 'max_tokens']: tokens }),
    ...(temperature === '' ? {} : { temperature: heat }),
  };
  const isChat = endpoint === emptyDraft.endpoint;
  return {
    ...(format === '' ? {} : { format }),
    ...(model.trim() === '' ? {} : { model: model.trim() }),
    ...(prompt.trim() === '' ? {} : { prompt }),
    ...(system.trim() === '' ? {} : { system }),
    ...(prompt.trim() === '' || idColumn === '' ? {} : { id_column: idColumn }),
    ...(isChat ? {} : { endpoint }),
    ...(Object.keys(params).length === 0 ? {} : { params }),
  };
};

/** The body that creates a batch of an input file. */
export const batchBodyOf = (draft: Draft, fileId: string, endpoint: string) => {
  const name = draft.name.trim() || draft.source?.name;
  return {
    input_file_id: fileId,
    endpoint,
    completion_window: draft.window.trim(),
    ...(name === undefined ? {} : { metadata: { name: name.slice(0, 512) } }),
    ...(draft.maxCost === '' ? {} : { promptmill: { max_cost: Number(draft.maxCost) } }),
  };
};

export type BatchBody = ReturnType<typeof batchBodyOf>;
