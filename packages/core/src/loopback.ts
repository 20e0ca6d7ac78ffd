/** Whether a host is this machine itself: `localhost`, or a loopback address. An IPv6 address may be in brackets. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || /^(?:::1|\[::1\]|127(?:\.\d{1,3}){3})$/.test(host);
