import type { RequestHandler, Router } from 'express';
import type { z } from 'zod';
import { type AuditAction, noteAnswer, noteTarget } from './access/audit.ts';
import { requireAdmin } from './authenticate.ts';
import type { Call } from './call.ts';
import type { LargeBodies } from './large-bodies.ts';
import { type BodyLimit, createReadJsonBody } from './read-json-body.ts';
import { nameRoute } from './request-log.ts';
import { checkRequest } from './request-problem.ts';

/** What a route answers with status 200. */
interface Answer<A> {
  readonly description: string;
  /** The schema of a JSON answer. */
  readonly schema?: A;
  /** Media type of an answer that is not JSON. */
  readonly type?: string;
}

/** A route. The same schemas check a request before its handler runs and describe the route in the OpenAPI document. */
export interface Route<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
  A extends z.ZodType = z.ZodType,
> {
  readonly method: 'get' | 'post' | 'delete';
  /** With placeholders as OpenAPI writes them: `/v1/files/{file_id}`. */
  readonly path: string;
  /** Whether the placeholder at the end of the path may hold slashes. */
  readonly slashes?: true;
  readonly summary: string;
  readonly tag:
    | 'Live calls'
    | 'Files'
    | 'Uploads'
    | 'Batches'
    | 'Webhooks'
    | 'Lanes'
    | 'Models'
    | 'Usage'
    | 'Admin'
    | 'Service';
  /** Needs neither a key nor Redis. */
  readonly open?: true;
  /** Needs the metrics' token or a key, and no Redis. */
  readonly metrics?: true;
  /** Needs an admin key. */
  readonly admin?: true;
  /** What the audit calls it, where it makes or changes something. */
  readonly audit?: AuditAction;
  readonly params?: P;
  readonly query?: Q;
  /** The schema of a JSON body. */
  readonly body?: B;
  /** Default: 1 MiB. */
  readonly bodyLimit?: BodyLimit;
  /** Chooses the schema in the union `body` that the caller means. */
  readonly bodyKind?: (body: unknown) => z.ZodType<z.output<B>>;
  /** The schema of a multipart body. The handler reads and checks the body. */
  readonly form?: z.ZodType;
  readonly headers?: z.ZodObject;
  readonly answer: Answer<A>;
  /** Returns the answer, of which it may have sent the head; or sends it itself and returns nothing. */
  readonly handle: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<z.input<A> | void>;
}

export type AnyRoute = Omit<Route, 'handle'> & {
  readonly handle: (call: Call) => Promise<unknown>;
};

/** Checks a route's handler against its schemas. */
export const route = <P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType>(
  route: Route<P, Q, B, A>,
): AnyRoute => route as unknown as AnyRoute;

export interface Guards {
  /** Run before the handler of a route that is neither open nor the metrics', in this order. */
  readonly closed: readonly RequestHandler[];
  /** Runs before the handler of `/metrics`. */
  readonly metrics: RequestHandler;
  /** Shared by all routes with a JSON body. */
  readonly largeBodies: LargeBodies;
}

/** The signal of a caller who needs no key. */
const never = new AbortController().signal;

const check = (schema: z.ZodType | undefined, value: unknown): unknown =>
  schema === undefined ? undefined : checkRequest(schema, value);

const expressPath = ({ path, slashes }: AnyRoute): string | RegExp =>
  slashes
    ? new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{(\w+)\}$/, '(?<$1>.+)')}$`)
    : path.replaceAll(/\{(\w+)\}/g, ':$1');

export const mountRoute = (router: Router, route: AnyRoute, { closed, metrics, largeBodies }: Guards): void => {
  const { method, path, params, query, body, bodyKind, bodyLimit, audit, handle } = route;
  const answer: RequestHandler = async (request, response) => {
    const answered = await handle({
      tenant: response.locals.tenant ?? '',
      keyEnded: response.locals.caller?.ended ?? never,
      params: check(params, request.params),
      query: check(query, request.query),
      body: check(bodyKind?.(request.body) ?? body, request.body),
      request,
      response,
    });
    noteAnswer(response.locals.audited, answered);
    if (answered === undefined) return;
    if (response.headersSent) response.end(JSON.stringify(answered));
    else response.json(answered);
  };
  router[method](
    expressPath(route),
    nameRoute(path),
    noteTarget(audit),
    ...(route.metrics ? [metrics] : route.open ? [] : closed),
    ...(route.admin ? [requireAdmin] : []),
    ...(body ? [createReadJsonBody(largeBodies, bodyLimit)] : []),
    answer,
  );
};
