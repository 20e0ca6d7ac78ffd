/** The hour of a time in Unix milliseconds, as the name of a folder: `2026-11-28T23`. */
export const hourOf = (ms: number): string => new Date(ms).toISOString().slice(0, 13);

/** The folder in the file store with the answers of kept calls that were moved there in one hour. */
export const answersFolder = (hour: string): string => `answers/${hour}/`;
