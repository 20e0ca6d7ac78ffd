import { hash } from 'node:crypto';

export interface PageHtmlOptions {
  /** The URL of the folder that the page's files are in, with a slash at its end. */
  readonly folder: string;
  /** Paths of the modules, below `folder`. */
  readonly main: string;
  readonly preloaded: readonly string[];
  readonly names: Readonly<Record<string, string>>;
  /** Whether the api wants a key, so that the page asks for one before its first call. */
  readonly wantsKey: boolean;
  /** Whether there is a Bull Board to link to. */
  readonly hasBoard: boolean;
}

const icon =
  '%3Csvg xmlns=%27http://www.w3.org/2000/svg%27 viewBox=%270 0 16 16%27%3E' +
  '%3Crect width=%2716%27 height=%2716%27 rx=%274%27 fill=%27%233b5bdb%27/%3E' +
  '%3Cpath d=%27M4 5h8M4 8h8M4 11h5%27 stroke=%27white%27 stroke-width=%271.6%27 stroke-linecap=%27round%27/%3E%3C/svg%3E';

/** The document at `/`. It holds no data: what it shows, its script asks of the API. */
export const pageHtml = ({ folder, main, preloaded, names, wantsKey, hasBoard }: PageHtmlOptions) => {
  const importMap = JSON.stringify({
    imports: Object.fromEntries(Object.entries(names).map(([name, path]) => [name, folder + path])),
  });
  const html = `<!doctype html>
<html lang="en" data-key="${wantsKey ? 'wanted' : 'none'}" data-board="${hasBoard ? 'yes' : 'no'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Promptmill</title>
<link rel="icon" href="data:image/svg+xml,${icon}">
<link rel="stylesheet" href="${folder}page.css">
<script type="importmap">${importMap}</script>
${preloaded.map((path) => `<link rel="modulepreload" href="${folder}${path}">`).join('\n')}
<script type="module" src="${folder}${main}"></script>
</head>
<body><header class="top"><span class="brand">Promptmill</span></header><noscript>This page needs JavaScript. The API is described at <a href="/docs">/docs</a>.</noscript></body>
</html>
`;
  return { html, importMapHash: `sha256-${hash('sha256', importMap, 'base64')}` };
};
