/** Addresses and names of this machine alone. */

export const isLoopback = (host: string) => /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host);

/** Whether a request's Host header names this machine. */
export const namesLoopback = (header = "") => /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(header);
