import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BASE, Testbed } from "../testbed.test.ts";

let bed: Testbed;
let context: string;

beforeAll(async () => {
  bed = await Testbed.open();
  context = bed.directory("instructions", { "a.txt": "a\n" });
});
afterAll(() => bed.close());

const config = async (lines: string, more = {}) =>
  bed.image(await bed.build(context, `FROM ${BASE}\n${lines}`, more)).config;
const history = async (lines: string, more = {}) =>
  (await config(lines, more)).history.slice(1).map((entry) => entry.created_by ?? "");

describe("instructions that only describe", () => {
  test("ENV keeps its order and replaces values in their place", async () => {
    const { config: made } = await config("ENV A=1 B=two\nENV A=3 C=$A-$B\n");
    expect(made.Env?.slice(1)).toEqual(["A=3", "B=two", "C=1-two"]);
  });

  test("LABEL of the file and of the request come together, the request's win", async () => {
    const { config: made } = await config('LABEL a=1 b="two words"\n', { labels: { a: "9", c: "3" } });
    expect(made.Labels).toEqual({ a: "9", b: "two words", c: "3" });
  });

  test("CMD and ENTRYPOINT in both forms, with the stage's SHELL", async () => {
    const { config: made } = await config('SHELL ["/bin/ash", "-ec"]\nENTRYPOINT exec top\nCMD ["a", "b"]\n');
    expect(made.Entrypoint).toEqual(["/bin/ash", "-ec", "exec top"]);
    expect(made.Cmd).toEqual(["a", "b"]);
    expect(made.Shell).toEqual(["/bin/ash", "-ec"]);
  });

  test("ENTRYPOINT clears an inherited CMD but not the stage's own", async () => {
    expect((await config('ENTRYPOINT ["x"]\n')).config.Cmd).toBeUndefined();
    expect((await config('CMD ["own"]\nENTRYPOINT ["x"]\n')).config.Cmd).toEqual(["own"]);
  });

  test("EXPOSE, VOLUME, USER, STOPSIGNAL, HEALTHCHECK, MAINTAINER and ONBUILD stand in the config", async () => {
    const made = await config(
      "ARG P=90\nEXPOSE 80 53/udp $P\nVOLUME /a /b\nUSER daemon\nSTOPSIGNAL SIGINT\n" +
        "HEALTHCHECK --interval=5s --retries=3 CMD true\nMAINTAINER me\nONBUILD RUN echo hi\n",
    );
    expect(Object.keys(made.config.ExposedPorts ?? {})).toEqual(["53/udp", "80/tcp", "90/tcp"]);
    expect(Object.keys(made.config.Volumes ?? {})).toEqual(["/a", "/b"]);
    expect(made.config.User).toBe("daemon");
    expect(made.config.StopSignal).toBe("SIGINT");
    expect(made.config.Healthcheck).toEqual({ Test: ["CMD-SHELL", "true"], Interval: 5e9, Retries: 3 });
    expect(made.author).toBe("me");
    expect(made.config.OnBuild).toEqual(["RUN echo hi"]);
  });

  test("WORKDIR is relative to the one before, and the directory belongs to the USER", async () => {
    const files = await bed.files(context, `FROM ${BASE}\nWORKDIR /a\nUSER daemon\nWORKDIR b/../c\nWORKDIR d\n`);
    expect(files.get("a/c/d")?.header).toMatchObject({ type: "dir", mode: 0o755, uid: 1, gid: 1 });
    expect(files.get("a")?.header).toMatchObject({ type: "dir", uid: 0 });
  });
});

describe("history", () => {
  test("is worded as BuildKit words it", async () => {
    expect(
      await history(
        'ARG V=1\nARG W\nENV A=b\nRUN echo $V\nCOPY --chown=1:2 a.txt /x/\nWORKDIR /w\nCMD ["a", "b c"]\nEXPOSE 80\nVOLUME /d\n' +
          'USER 5\nHEALTHCHECK CMD true\nSHELL ["sh"]\nLABEL k=v\nSTOPSIGNAL 9\nRUN ["true"]\n',
      ),
    ).toEqual([
      "ARG V=1",
      "ARG W",
      "ENV A=b",
      "RUN |2 V=1 W= /bin/sh -c echo $V # buildkit",
      "COPY --chown=1:2 a.txt /x/ # buildkit",
      "WORKDIR /w",
      'CMD ["a" "b c"]',
      "EXPOSE [80/tcp]",
      "VOLUME [/d]",
      "USER 5",
      `HEALTHCHECK &{["CMD-SHELL" "true"] "0s" "0s" "0s" "0s" '\\x00'}`,
      "SHELL [sh]",
      "LABEL k=v",
      "STOPSIGNAL 9",
      "RUN |2 V=1 W= true # buildkit",
    ]);
  });

  test("has a layer exactly where something changed, and matches the layers", async () => {
    const made = await config("RUN true\nRUN echo x > /x\nENV A=1\nWORKDIR /etc\nWORKDIR /new\nCOPY a.txt /\n");
    expect(made.history.slice(1).map((entry) => entry.empty_layer ?? false)).toEqual([
      true,
      false,
      true,
      true,
      false,
      false,
    ]);
    expect(made.diffIds).toHaveLength(4);
  });

  test("an image that is all from the cache has the ID that it had", async () => {
    const file = `FROM ${BASE}\nENV A=1\nRUN echo ${Math.random()} > /r\nCOPY a.txt /\nCMD ["x"]\n`;
    const first = await bed.build(context, file);
    await Bun.sleep(5);
    expect((await bed.build(context, file)).result.imageId).toBe(first.result.imageId);
  });
});

describe("arguments", () => {
  test("global ARGs reach FROM, and a stage only when it asks", async () => {
    const built = await bed.build(
      context,
      `ARG IMAGE=${BASE}\nARG V=global\nFROM $IMAGE\nRUN echo "1[$V]"\nARG V\nRUN echo "2[$V]"\nARG V=own\nRUN echo "3[$V]"\n`,
    );
    expect(built.output).toContain("1[]");
    expect(built.output).toContain("2[global]");
    expect(built.output).toContain("3[own]");
  });

  test("--build-arg wins over defaults, ENV over ARG, and an unknown one is told", async () => {
    const built = await bed.build(context, `FROM ${BASE}\nARG V=d\nARG W=d\nENV W=env\nRUN echo "[$V][$W]"\n`, {
      buildArgs: { V: "given", W: "given", TYPO: "1" },
    });
    expect(built.output).toContain("[given][env]");
    expect(built.warnings.join()).toContain("[TYPO] were not consumed");
  });

  test("a stage inherits the ARGs of the stage that it builds on", async () => {
    const built = await bed.build(context, `FROM ${BASE} AS a\nARG V=1\nFROM a\nRUN echo "[$V]"\n`);
    expect(built.output).toContain("[1]");
  });

  test("platform ARGs are there, once declared", async () => {
    const built = await bed.build(
      context,
      `FROM ${BASE}\nARG TARGETPLATFORM BUILDARCH\nRUN echo "$TARGETPLATFORM $BUILDARCH"\n`,
    );
    expect(built.output).toMatch(/linux\/\w+ \w+/);
  });

  test("a proxy is in the environment, and neither in the history nor in the key", async () => {
    const file = `FROM ${BASE}\nRUN echo "proxy=$HTTP_PROXY" ${Math.random()}\n`;
    const first = await bed.build(context, file, { buildArgs: { HTTP_PROXY: "http://user:pw@a:1" } });
    expect(first.output).toContain("proxy=http://user:pw@a:1");
    expect(JSON.stringify(bed.image(first).config)).not.toContain("user:pw");
    const again = await bed.build(context, file, { buildArgs: { HTTP_PROXY: "http://other" } });
    expect(again.state("RUN echo")).toBe("cached");
  });
});

describe("stages", () => {
  test("only what the target needs runs", async () => {
    const built = await bed.build(context, `FROM ${BASE} AS a\nRUN echo a\nFROM ${BASE} AS b\nRUN echo b\n`, {
      target: "a",
    });
    expect(built.output).toContain("a");
    expect(() => built.step("RUN echo b")).toThrow();
  });

  test("ONBUILD triggers run first in the stage that builds on the image, once", async () => {
    await bed.build(context, `FROM ${BASE}\nONBUILD RUN echo trigger > /trigger\nONBUILD COPY a.txt /from-trigger\n`, {
      tags: ["onbuild:1"],
    });
    const built = await bed.build(context, "FROM onbuild:1\nRUN cat /trigger /from-trigger\n", { tags: ["onbuild:2"] });
    expect(built.output).toContain("trigger\na\n");
    expect(bed.image(built).config.config.OnBuild).toBeUndefined();
    expect(built.step("RUN echo trigger").name).toContain("[2/4]");
  });

  test("a cycle, a missing image and a missing target say so", async () => {
    const cycle = await bed.failure(
      context,
      `FROM ${BASE} AS a\nCOPY --from=b /x /\nFROM ${BASE} AS b\nCOPY --from=a /x /\n`,
    );
    expect(cycle.error.message).toContain("circular dependency between stages: b -> a -> b");
    const image = await bed.failure(context, "FROM nowhere/at-all:1\n");
    expect(image.error.message).toContain("nowhere/at-all:1 is not in the local store");
    expect(image.error.message).toContain(">>> FROM nowhere");
    expect(image.error.hint).toContain("slipway load");
    const target = await bed.failure(context, `FROM ${BASE} AS build\nFROM ${BASE} AS final\n`, { target: "biuld" });
    expect(target.error.hint).toContain("build");
  });

  test("scratch and an empty result", async () => {
    const files = await bed.files(context, "FROM scratch\nCOPY a.txt /only\n");
    expect([...files.keys()]).toEqual(["only"]);
    const made = bed.image(await bed.build(context, "FROM scratch\nLABEL a=b\n"));
    expect(made.config.diffIds).toEqual([]);
  });
});

test("SOURCE_DATE_EPOCH sets every time", async () => {
  const buildArgs = { SOURCE_DATE_EPOCH: "1000000000" };
  const file = `FROM ${BASE}\nRUN echo x > /x\nWORKDIR /w\nCOPY a.txt /y\n`;
  const made = bed.image(await bed.build(context, file, { buildArgs })).config;
  expect(made.created).toBe("2001-09-09T01:46:40Z");
  const files = await bed.files(context, file, { buildArgs });
  for (const path of ["x", "y", "w"]) expect(files.get(path)?.header.mtime).toBe(1000000000n * 1000000000n);
});
