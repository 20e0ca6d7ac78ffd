// Shorter ones are the stand-ins that local servers want ("none", "EMPTY", "ollama"): words, not secrets.
const minSecretLength = 8;

/**
 * Takes a provider's key out of any JSON value, for providers that echo it in their errors. Gives null for a value nested
 * too deeply to be looked through.
 */
export type RedactKey = <T>(value: T) => T;

export const createKeyRedactor = (apiKey: string | undefined): RedactKey => {
  if (apiKey === undefined || apiKey.length < minSecretLength) return (value) => value;
  const inJson = JSON.stringify(apiKey).slice(1, -1);
  return <T>(value: T): T => {
    try {
      return JSON.parse(JSON.stringify(value).replaceAll(inJson, '[redacted]')) as T;
    } catch {
      return null as T;
    }
  };
};
