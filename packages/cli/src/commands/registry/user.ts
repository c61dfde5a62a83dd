import type { RegistryStorage } from "@slipway/registry";
import { command, exactly, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import type { Session } from "../../session.ts";
import { STORAGE } from "./storage-flag.ts";

export const addUser = command({
  usage: "[OPTIONS] NAME",
  args: exactly(1),
  flags: {
    expires: flag.duration("Time until the account ends; 0 for never", { default: 0 }),
    grant: flag.list("Right on repositories: 'team/*:pull,push,delete'", { type: "right" }),
    "password-stdin": flag.bool("Read the password from the standard input"),
    robot: flag.bool("An account for programs: its password is made and shown once"),
    storage: STORAGE,
  },
  examples: [
    ["slipway registry user add ann --grant 'team/*:pull,push' --password-stdin < secret", "A person"],
    ["slipway registry user add ci --robot --expires 720h --grant 'team/app:pull,push'", "A robot for a month"],
    ["slipway registry user add anonymous --grant 'public/*:pull'", "What needs no login"],
  ],
  async run({ flags, args, session }) {
    const { ANONYMOUS_USER, parseGrant, RegistryUsers } = await import("@slipway/registry");
    const [name = ""] = args;
    const grants = flags.grant.map(parseGrant);
    const password =
      name === ANONYMOUS_USER ? undefined : await passwordFor(session, flags.robot, flags["password-stdin"]);
    await withStorage(flags.storage, async (storage) => {
      await new RegistryUsers(storage.records).put({
        name,
        grants,
        robot: flags.robot,
        ...(password !== undefined && { hash: await Bun.password.hash(password, { algorithm: "bcrypt", cost: 10 }) }),
        ...(flags.expires > 0 && { expires: Date.now() + flags.expires / 1e6 }),
      });
    });
    if (flags.robot && password !== undefined) session.io.stdout.write(`${password}\n`);
    return 0;
  },
});

export const removeUser = command({
  usage: "[OPTIONS] NAME",
  args: exactly(1),
  flags: { storage: STORAGE },
  async run({ flags, args }) {
    const { RegistryUsers } = await import("@slipway/registry");
    await withStorage(flags.storage, (storage) => new RegistryUsers(storage.records).remove(args[0] ?? ""));
    return 0;
  },
});

export const listUsers = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: { storage: STORAGE },
  async run({ flags, session }) {
    const { RegistryUsers } = await import("@slipway/registry");
    await withStorage(flags.storage, async (storage) => {
      const rows = (await new RegistryUsers(storage.records).all()).map(({ name, robot, expires, grants }) => [
        name,
        robot ? "robot" : "user",
        expires === undefined ? "never" : new Date(expires).toISOString(),
        grants.map(({ repositories, actions }) => `${repositories}:${actions.join(",")}`).join(" "),
      ]);
      const table = [["NAME", "KIND", "EXPIRES", "RIGHTS"], ...rows];
      const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)) + 3);
      for (const row of table) {
        session.io.stdout.write(
          `${row
            .map((cell, at) => cell.padEnd(widths[at] ?? 0))
            .join("")
            .trimEnd()}\n`,
        );
      }
    });
    return 0;
  },
});

async function withStorage(place: string, work: (storage: RegistryStorage) => Promise<void>): Promise<void> {
  const { openRegistryStorage } = await import("@slipway/registry");
  const storage = await openRegistryStorage(place);
  try {
    await work(storage);
  } finally {
    await storage.close();
  }
}

async function passwordFor(session: Session, isRobot: boolean, fromStdin: boolean): Promise<string> {
  const { SlipwayError } = await import("@slipway/base");
  if (isRobot) return Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url");
  if (!fromStdin) {
    throw new SlipwayError("invalid", "a password is needed", {
      hint: "Give it with --password-stdin, or make a --robot.",
    });
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of session.io.stdin.chunks()) chunks.push(chunk);
  const password = Buffer.concat(chunks)
    .toString()
    .replace(/\r?\n$/, "");
  // bcrypt reads no more than this: what follows would count for nothing.
  if (password === "" || Buffer.byteLength(password) > 72) {
    throw new SlipwayError("invalid", "a password has 1 to 72 bytes");
  }
  return password;
}
