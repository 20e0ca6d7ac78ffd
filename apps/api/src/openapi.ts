import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi';
import { z } from 'zod';
import { errorBody } from './api-schemas.ts';
import { prompt } from './batches/create-batch-schemas.ts';
import type { AnyRoute } from './route.ts';

const description =
  "A durable batch queue for LLM requests. Files and Batches are OpenAI's; `prompts`, `/results` and `/events` are more.";

const isRequired = (body: z.ZodType): boolean => !body.safeParse(undefined).success;

const operationOf = (route: AnyRoute): ZodOpenApiOperationObject => {
  const { summary, tag, answer, params, query, headers, body, form, open } = route;
  const content = answer.schema
    ? { 'application/json': { schema: answer.schema } }
    : { [answer.type ?? 'application/octet-stream']: { schema: z.string() } };
  return {
    summary,
    tags: [tag],
    ...(open ? { security: [] } : {}),
    requestParams: {
      ...(params ? { path: params as z.ZodObject } : {}),
      ...(query ? { query: query as z.ZodObject } : {}),
      ...(headers ? { header: headers } : {}),
    },
    ...(body ? { requestBody: { required: isRequired(body), content: { 'application/json': { schema: body } } } } : {}),
    ...(form ? { requestBody: { required: true, content: { 'multipart/form-data': { schema: form } } } } : {}),
    responses: {
      '200': { description: answer.description, content },
      default: { description: 'What went wrong.', content: { 'application/json': { schema: errorBody } } },
    },
  };
};

/** The OpenAPI document of a route table. */
export const createOpenApiDocument = (routes: readonly AnyRoute[]) => {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) };
  return createDocument({
    openapi: '3.1.0',
    info: { title: 'Promptmill', version: '1', description, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      schemas: { Prompt: prompt },
    },
  });
};
