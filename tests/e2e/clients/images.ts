import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, type Engine } from "../harness.ts";
import { goProgram, installed, must } from "./tools.ts";

const REDIS = ["redis-server", "redis-tools", "bash", "busybox-static", "perl-base"];
/** What their programs load. */
const LIBRARIES = [
  ...[
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "libatomic1",
    "libcrypt1",
    "libtinfo6",
    "libssl3",
    "libjemalloc2",
    "liblzf1",
    "libzstd1",
  ],
  ...["libsystemd0", "libcap2", "libgcrypt20", "libgpg-error0", "liblzma5", "liblz4-1"],
];
/** As in the image that people pull: a server without a configuration answers other hosts. */
const ENTRYPOINT = `#!/bin/sh
[ "$1" = redis-server ] && exec "$@" --protected-mode no
exec "$@"
`;
const REDIS_DOCKERFILE = `FROM scratch
COPY root /
RUN mkdir data && chown redis:redis data
WORKDIR /data
VOLUME /data
EXPOSE 6379
ENTRYPOINT ["/entrypoint"]
CMD ["redis-server"]
`;

/** Redis of Debian's packages, built by our own builder. */
export async function buildRedis(engine: Engine, tag: string): Promise<void> {
  const context = await installed("image", ["redis"], async (folder) => {
    await must(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", ...REDIS, ...LIBRARIES], { cwd: folder });
    const root = join(folder, "root");
    for (const directory of ["etc", "tmp", "bin"]) mkdirSync(join(root, directory), { recursive: true });
    for (const archive of new Bun.Glob("*.deb").scanSync(folder)) {
      await must(["dpkg-deb", "-x", archive, root], { cwd: folder });
      rmSync(join(folder, archive));
    }
    for (const bulk of ["usr/share", "usr/lib/systemd"]) rmSync(join(root, bulk), { recursive: true, force: true });
    for (const applet of (await must(["busybox", "--list"])).trim().split("\n")) {
      if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet), "file");
    }
    symlinkSync("../../bin/busybox", join(root, "usr/bin/env"));
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nredis:x:999:999::/data:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\nredis:x:999:\n");
    writeFileSync(join(root, "entrypoint"), ENTRYPOINT, { mode: 0o755 });
    writeFileSync(join(folder, "Dockerfile"), REDIS_DOCKERFILE);
  });
  await engine.ok("build", "-q", "-t", tag, context);
}

/** Where Ryuk's sources are, if the module proxy does not have them. */
const RYUK_SOURCE = process.env.SLIPWAY_RYUK_SOURCE;

/** testcontainers' reaper, or undefined where its sources cannot be had. */
export async function ryukProgram(): Promise<string | undefined> {
  if (RYUK_SOURCE !== undefined) {
    const folder = await installed("go", ["ryuk", RYUK_SOURCE], async (folder) => {
      const build = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", join(folder, "program"), "."];
      await must(build, { cwd: RYUK_SOURCE, env: { CGO_ENABLED: "0" } });
    });
    return join(folder, "program");
  }
  try {
    return await goProgram("github.com/testcontainers/moby-ryuk@v0.14.0", "github.com/testcontainers/moby-ryuk");
  } catch {
    return undefined;
  }
}

export async function buildRyuk(engine: Engine, program: string, tag: string): Promise<void> {
  const context = engine.context({
    Dockerfile: 'FROM scratch\nCOPY ryuk /bin/ryuk\nCMD ["/bin/ryuk"]\nLABEL org.testcontainers.ryuk=true\n',
  });
  copyFileSync(program, join(context, "ryuk"));
  await engine.ok("build", "-q", "-t", tag, context);
}

/** Our base image under the names that other people's tests use. */
export async function tagBase(engine: Engine, ...names: string[]): Promise<void> {
  for (const name of names) await engine.ok("tag", BASE, name);
}
