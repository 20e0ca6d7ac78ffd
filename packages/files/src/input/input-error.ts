/** An input, or what is to be made of it, is not what it has to be. The message says so in words for people. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly code: 'format_unknown' | 'input_invalid' | 'template_invalid';

  constructor(code: InputError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
