const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openers = new Set([0x5b, 0x7b]);
const closers = new Set([0x5d, 0x7d]);

export interface JsonExtent {
  /** How deep objects and arrays nest. */
  readonly depth: number;
  /** Commas outside strings: about as many as there are values. */
  readonly commas: number;
}

/** Measures a JSON text without parsing it. What is no JSON has some extent too. */
export const measureJson = (text: Uint8Array): JsonExtent => {
  let depth = 0;
  let open = 0;
  let commas = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i] ?? 0;
    if (inString) {
      if (byte === backslash) i++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    else if (byte === comma) commas++;
    else if (openers.has(byte)) depth = Math.max(depth, ++open);
    else if (closers.has(byte)) open--;
  }
  return { depth, commas };
};
