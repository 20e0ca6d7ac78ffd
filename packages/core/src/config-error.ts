/** A configuration that cannot be used. The message says why. */
export class ConfigError extends Error {
  readonly code = 'invalid_config';
}
