/** Whether tests run that take too long for each change: `npm run test:long` runs them too. */
export const inLongForm = process.env['TEST_LONG'] === '1';
