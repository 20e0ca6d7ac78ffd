/** Looks for something once more after a replay that is under way: it may be just being restored. */
export const lookTwice = async <T>(look: () => Promise<T | undefined>, replayed: () => Promise<void>) => {
  const found = await look();
  if (found !== undefined) return found;
  await replayed();
  return look();
};
