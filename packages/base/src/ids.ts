import { randomBytes } from "node:crypto";

/** 64 hexadecimal digits, the form of Docker's container, network and exec IDs. Never all digits in its short form. */
export function randomId(): string {
  for (;;) {
    const id = randomBytes(32).toString("hex");
    // A host name made of digits alone confuses resolvers, and the host name is the short ID.
    if (!/^\d+$/.test(id.slice(0, 12))) return id;
  }
}

/** The first 12 digits, as lists show it; accepts a leading `sha256:`. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
