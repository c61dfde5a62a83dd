import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Files of the host that no container may reach. */
const WATCHED = ["/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/resolv.conf", "/root", "/etc", "/tmp"];

/** A tree on the host that everything hostile aims at, and some files that it might hit instead. */
export class Canary implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "canary-"));
  readonly #before: string;

  constructor() {
    mkdirSync(join(this.path, "below/deep"), { recursive: true });
    writeFileSync(join(this.path, "file"), "untouched");
    writeFileSync(join(this.path, "below/deep/file"), "untouched", { mode: 0o600 });
    symlinkSync("below", join(this.path, "link"));
    this.#before = this.#snapshot();
  }

  /** What has changed, in words; nothing if nothing has. */
  changes(): string[] {
    const [before, after] = [this.#before.split("\n"), this.#snapshot().split("\n")];
    return [
      ...before.filter((line) => !after.includes(line)).map((line) => `was: ${line}`),
      ...after.filter((line) => !before.includes(line)).map((line) => `is: ${line}`),
    ];
  }

  #snapshot(): string {
    const lines: string[] = [];
    const look = (path: string): void => {
      const { mode, uid, gid, size, mtimeMs, ctimeMs, ino } = lstatSync(path);
      const kind = mode & 0o170000;
      const content = kind === 0o100000 ? readFileSync(path, "latin1") : kind === 0o120000 ? readlinkSync(path) : "";
      lines.push(
        [path, mode.toString(8), uid, gid, ino, kind === 0o040000 ? "" : size, mtimeMs, ctimeMs, content].join(" "),
      );
      if (kind === 0o040000) for (const name of readdirSync(path).sort()) look(join(path, name));
    };
    look(this.path);
    for (const path of WATCHED) {
      const { mode, uid, gid, ino } = lstatSync(path);
      lines.push([path, mode.toString(8), uid, gid, ino].join(" "));
    }
    for (const path of WATCHED.filter((each) => lstatSync(each).isFile()))
      lines.push(`${path}: ${Bun.hash(readFileSync(path))}`);
    // What would be new where names lead that begin with the canary's.
    for (const directory of ["/", "/etc", "/root"])
      lines.push(`${directory}: ${readdirSync(directory).sort().join(" ")}`);
    return lines.join("\n");
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
