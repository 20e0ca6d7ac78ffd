/**
 * The lane of a model, of those that there are: one of its own, or that of its provider. Undefined when there is none.
 *
 * @param model as `provider/model`
 */
export const laneOf = (model: string, lanes: readonly string[]): string | undefined => {
  const [provider = '', ...rest] = model.split('/');
  const own = `${provider}.${rest.join('/').replaceAll(/[^A-Za-z0-9._-]+/g, '-')}`;
  return [own, provider].find((name) => lanes.includes(name));
};
