import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { errorMessage, SlipwayError } from "@slipway/base";
import { mounts, unmount } from "@slipway/sys";
import type { Volume } from "../faces.ts";

const KNOWN = ["type", "device", "o"];

/**
 * The options of the driver `local`: what is mounted at the volume's place (`type`, `device`), and how (`o`), in the words
 * of mount(8). Throws `invalid` as Docker words it.
 */
export function checkLocalOptions(name: string, options: Readonly<Record<string, string>>): void {
  const refuse = (why: string): never => {
    throw new SlipwayError("invalid", `create ${name}: ${why}`, {
      hint: "The driver 'local' takes type, device and o, such as --opt type=none --opt device=/srv --opt o=bind.",
    });
  };
  for (const [key, value] of Object.entries(options)) {
    if (key === "size") refuse("quota size requested but no quota support");
    if (!KNOWN.includes(key)) refuse(`invalid option: ${JSON.stringify(key)}`);
    if (value.includes("\0")) refuse(`invalid value of option ${JSON.stringify(key)}`);
  }
  if (Object.keys(options).length === 0) return;
  for (const key of ["device", "type"]) if (!options[key]) refuse(`missing required option: ${JSON.stringify(key)}`);
}

/** Whether something is to be mounted at the volume's place while it is used. */
export function isMountedVolume(volume: Pick<Volume, "options">): boolean {
  return Object.keys(volume.options).length > 0;
}

export function hasMount(mountpoint: string): boolean {
  return mounts().some(({ target }) => target === mountpoint);
}

/**
 * Mounts what the options name. Another process does it: the server of a network file system may take minutes to answer.
 * Throws `invalid` with the kernel's reason.
 */
export async function mountLocal({ name, mountpoint, options }: Volume): Promise<void> {
  const { type = "", device = "", o = "" } = options;
  const data = await withAddress(type, o);
  const how = [...(type === "" || type === "none" ? [] : ["-t", type]), ...(data === "" ? [] : ["-o", data])];
  // No helper such as mount.nfs: the options go to mount(2) as they are, with Docker too.
  const child = Bun.spawn(["mount", "-i", "-n", ...how, "--", device, mountpoint], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [complaint, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code === 0) return;
  const why =
    complaint
      .trim()
      .split("\n")[0]
      ?.replace(/^mount: [^:]*: /, "") ?? `mount ended with ${code}`;
  throw new SlipwayError(
    "invalid",
    `error while mounting volume '${mountpoint}': failed to mount local volume: mount ${device}:${mountpoint}, data: ${data}: ${why}`,
    { hint: `The options of the volume '${name}' name what is mounted; see: docker volume inspect ${name}` },
  );
}

/** The kernel takes addresses only: a name in `addr=` of nfs and cifs is looked up. */
async function withAddress(type: string, options: string): Promise<string> {
  if (!/^(nfs4?|cifs)$/.test(type)) return options;
  const words = options.split(",").map(async (word) => {
    const host = /^addr=(.+)$/.exec(word)?.[1];
    if (host === undefined || isIP(host) !== 0) return word;
    try {
      return `addr=${(await lookup(host)).address}`;
    } catch (error) {
      throw new SlipwayError("invalid", `error resolving passed in network volume address: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  });
  return (await Promise.all(words)).join(",");
}

/** Lazily: somebody on the host may still look into it. */
export function unmountLocal(mountpoint: string): void {
  while (hasMount(mountpoint)) unmount(mountpoint, { lazy: true });
}
