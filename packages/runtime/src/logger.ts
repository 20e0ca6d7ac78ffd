import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

export interface LoggerOptions {
  readonly level: string;
  /** `api`, `worker`, `collector` … */
  readonly role: string;
  /** Default: standard output. */
  readonly stream?: DestinationStream;
}

const secretFields = [
  'authorization',
  'Authorization',
  '["proxy-authorization"]',
  '["x-api-key"]',
  'apiKey',
  'apiKeys',
  'password',
  'cookie',
  '["set-cookie"]',
];

/** How deep a secret may be in what is logged: `provider`, `req.headers`, `lane.provider`. */
const depths = ['', '*', '*.*', '*.*.*'];

const redactedPaths = depths.flatMap((depth) =>
  secretFields.map((field) => (depth === '' || field.startsWith('[') ? depth + field : `${depth}.${field}`)),
);

/** Leaves out the arguments of a command that Redis refused: they are whole prompts and answers. */
const describeError = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error;
  const described = stdSerializers.err(error);
  const { command } = described as { readonly command?: { readonly name?: string } };
  return command === undefined ? described : { ...described, command: command.name };
};

/** Makes a logger of JSON lines with the role and the process id. It redacts fields that hold secrets. */
export const createLogger = ({ level, role, stream }: LoggerOptions): Logger =>
  pino(
    {
      level,
      base: { role, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: describeError },
      redact: { paths: redactedPaths, censor: '[redacted]' },
    },
    stream,
  );
