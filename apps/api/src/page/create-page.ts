import { hash } from 'node:crypto';
import { type RequestHandler, type Response, Router } from 'express';
import { contentSecurityPolicy } from 'helmet';
import type { ApiDependencies } from '../dependencies.ts';
import { nameRoute } from '../request-log.ts';
import { encodeFile, type EncodedFile } from './encode-file.ts';
import { loadPage } from './load-page.ts';
import { pageHtml } from './page-html.ts';

/** URLs of the page's files begin with it. */
const filesPath = '/page';

const openPage = async () => {
  const { files, main, preloaded, names } = await loadPage();
  // The name of their folder changes with any of them, so that browsers may keep them.
  const version = hash('sha256', JSON.stringify(files.map(([path, { etag }]) => [path, etag]))).slice(0, 16);
  const folder = `${filesPath}/${version}/`;
  const documents = new Map<string, Promise<{ readonly file: EncodedFile; readonly importMapHash: string }>>();

  /** The document, which says whether a key is wanted: that may change while the process runs. */
  const documentOf = (wantsKey: boolean, hasBoard: boolean) => {
    const make = async () => {
      const { html, importMapHash } = pageHtml({ folder, main, preloaded, names, wantsKey, hasBoard });
      return { file: await encodeFile('text/html', html), importMapHash };
    };
    const name = `${wantsKey} ${hasBoard}`;
    const document = documents.get(name) ?? make();
    documents.set(name, document);
    return document;
  };
  return { files: new Map(files.map(([path, file]) => [folder + path, file])), documentOf };
};

const policyOf = (importMapHash: string): RequestHandler =>
  contentSecurityPolicy({
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'", `'${importMapHash}'`],
      styleSrc: ["'self'"],
      connectSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
  });

const send = (response: Response, file: EncodedFile, cacheControl: string): void => {
  const { req: request } = response;
  response.set({ 'content-type': `${file.type}; charset=utf-8`, 'cache-control': cacheControl, etag: file.etag });
  response.vary('accept-encoding');
  if (request.fresh) return void response.status(304).end();
  // Browsers name gzip first, and take what is smaller too.
  const encoding = (['br', 'gzip'] as const).find((name) => request.acceptsEncodings(name) !== false) ?? 'identity';
  if (encoding !== 'identity') response.set('content-encoding', encoding);
  response.send(Buffer.from(file[encoding]));
};

/**
 * The page at `/` and its files at `/page/<version>/`. They hold no data and need no key; every call that the page makes
 * does. Who asks `/` for JSON gets none. The files are read when the page is first asked for.
 */
export const createPage = ({ config, isKeyless }: Pick<ApiDependencies, 'config' | 'isKeyless'>): Router => {
  let opening: ReturnType<typeof openPage> | undefined;
  const open = () => {
    opening ??= openPage();
    // The next request tries again.
    opening.catch(() => (opening = undefined));
    return opening;
  };

  const sendDocument: RequestHandler = async (request, response, next) => {
    if (request.accepts('html', 'json') !== 'html') return next();
    const { documentOf } = await open();
    const { file, importMapHash } = await documentOf(!isKeyless(), isKeyless() || config.board !== undefined);
    policyOf(importMapHash)(request, response, () => send(response, file, 'no-cache'));
  };
  const sendFile: RequestHandler = async (request, response, next) => {
    const { files } = await open();
    const file = files.get(request.path);
    if (!file) return next();
    send(response, file, 'public, max-age=31536000, immutable');
  };
  return Router().get('/', nameRoute('/'), sendDocument).get(`${filesPath}/*path`, nameRoute(filesPath), sendFile);
};
