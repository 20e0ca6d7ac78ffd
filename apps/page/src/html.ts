import htm from 'htm';
import { h, type VNode } from 'preact';

/** Makes elements of a template: html`<p class="note">${text}</p>`. Text is never read as markup. */
export const html = htm.bind(h) as (strings: TemplateStringsArray, ...values: unknown[]) => VNode;
