import { type Advice, inputFormats } from '@promptmill/files';

/** What messages about an input tell people to do, in the words of the command line. */
export const cliAdvice: Advice = {
  model: 'add --model provider/model (to try it without a key: --model simulator/echo)',
  prompt: (column) => `--prompt 'Classify: {{${column}}}'`,
  settings: '--system, --endpoint, --max-tokens, --temperature, --param, --params and --schema',
  format: `--format ${inputFormats.join('|')} says how to read it`,
};
