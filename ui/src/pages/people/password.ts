/** Passwords that the browser makes up. Without letters and digits that look alike. */
const SIGNS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH = 20;

/** About 116 random bits. */
export function newPassword(): string {
  let made = "";
  while (made.length < LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(LENGTH))) {
      // Bytes beyond the last whole multiple would make some signs likelier.
      if (byte < 256 - (256 % SIGNS.length) && made.length < LENGTH) made += SIGNS[byte % SIGNS.length];
    }
  }
  return made;
}
