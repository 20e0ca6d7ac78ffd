/** Looks for something. When it is not there, waits for a replay that may be restoring it, and looks again. */
export const lookTwice = async <T>(look: () => Promise<T | undefined>, replayed: () => Promise<void>) => {
  const found = await look();
  if (found !== undefined) return found;
  await replayed();
  return look();
};
