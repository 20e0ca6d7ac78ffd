import { createApiClient } from './api-client.ts';
import type { CliContext } from '../context.ts';

const defaultUrl = 'http://127.0.0.1:3000';

/** Makes a client of the server that `PROMPTMILL_URL` names. */
export const connectToServer = ({ env, fetch }: CliContext) =>
  createApiClient({
    baseUrl: env['PROMPTMILL_URL'] || defaultUrl,
    apiKey: env['PROMPTMILL_API_KEY'] || undefined,
    fetch,
  });
