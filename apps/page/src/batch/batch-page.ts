import { html } from '../html.ts';
export const BatchPage = ({ id }: { readonly id: string }) => html`<h1>${id}</h1>`;
