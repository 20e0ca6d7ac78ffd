// Shorter keys are placeholders for local servers ("none", "EMPTY", "ollama"), and no secrets.
const minSecretLength = 8;

/**
 * Redacts a provider's key in any JSON value, since some providers repeat it in their errors. Returns null for a value
 * that is nested too deeply to be searched.
 */
export type RedactKey = <T>(value: T) => T;

export const createKeyRedactor = (apiKey: string | undefined): RedactKey => {
  if (apiKey === undefined || apiKey.length < minSecretLength) return (value) => value;
  const inJson = JSON.stringify(apiKey).slice(1, -1);
  return <T>(value: T): T => {
    // A text may be JSON that could not be read, with the key as JSON writes it.
    if (typeof value === 'string')
      return value.replaceAll(apiKey, '[redacted]').replaceAll(inJson, '[redacted]') as T & string;
    try {
      return JSON.parse(JSON.stringify(value).replaceAll(inJson, '[redacted]')) as T;
    } catch {
      return null as T;
    }
  };
};
