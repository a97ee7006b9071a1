/** Where the server stands: its address, and the path below which a reverse proxy may have put it. */

/** Without a slash at its end; empty at the top of a host. */
export const root = new URL(document.baseURI).pathname.replace(/\/$/, "");

/** The address that programs use: `https://host/base`. */
export const address = new URL(document.baseURI).href.replace(/\/$/, "");
