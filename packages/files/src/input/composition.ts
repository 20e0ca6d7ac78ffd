import type { PromptDefaults } from '@promptmill/core';
import type { Template } from './template.ts';

/** How rows become prompts. */
export interface RowComposition {
  readonly prompt: Template;
  readonly system: Template | undefined;
  readonly idColumn: string | undefined;
  readonly imageColumn?: string | undefined;
}

/** How the parts of an input become requests. */
export interface Composition extends PromptDefaults {
  /** Whether to stream every request, whatever its line says. Default: false. */
  readonly stream?: boolean | undefined;
  /** Set when a template makes the prompts. The system message is in it then. */
  readonly rows?: RowComposition | undefined;
}
