import { describe, expect, it } from 'vitest';
import { fillTemplate, parseTemplate } from './template.ts';

const fill = (text: string, values: Record<string, unknown>) =>
  fillTemplate(parseTemplate(text, '--prompt'), values, 100);

describe('a template', () => {
  it.each([
    ['Classify: {{text}}', 'Classify: a, b'],
    ['{{ text }}{{stars}}', 'a, b5'],
    ['{{two words}} {{tags}} {{none}}.', 'x ["a"] .'],
    ['No column, { one } brace', 'No column, { one } brace'],
    ['As {"a": {"b": {{stars}}}}', 'As {"a": {"b": 5}}'],
  ])('%s becomes %s', (template, text) => {
    expect(fill(template, { text: 'a, b', stars: 5, 'two words': 'x', tags: ['a'], none: null })).toEqual({ text });
  });

  it('takes braces in data for data', () => {
    expect(fill('{{a}}{{b}}', { a: '{{b}}', b: '$& {{' })).toEqual({ text: '{{b}}$& {{' });
  });

  it('names the column that a row lacks', () => {
    expect(fill('{{txt}}', { text: 'x' })).toEqual({ missing: 'txt' });
    expect(fill('{{constructor}}', {})).toEqual({ missing: 'constructor' });
  });

  it('ends before its text is too long', () => {
    expect(fill('{{a}}'.repeat(1000), { a: 'x'.repeat(99) })).toEqual({ tooLong: true });
  });

  it.each(['{{text}', '{{}}', '{{ }}', '{{{{a}}', '{{a{b}}'])('%s is refused', (text) => {
    expect(() => parseTemplate(text, '--system')).toThrow(/^--system: a \{\{ begins no \{\{column\}\}$/);
  });
});
