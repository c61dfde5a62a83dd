import { check, fails, is, section, step } from "../vocabulary.ts";

/** Docker's client warns of this builder. */
const LEGACY = /^(DEPRECATED: The legacy builder is deprecated[\s\S]*)?$/;

/** The classic builder: the context as a tar, the progress as a stream of lines. */
export const build = section("build", [
  step(
    "mkdir ctx && cd ctx && printf 'FROM '$BASE' AS first\\nARG A=none\\nENV A=$A\\nCOPY . /src\\nRUN ls /src > /list; echo $A >> /list\\nFROM first AS second\\nLABEL stage=second\\nWORKDIR /src\\nUSER 33\\nEXPOSE 80\\nVOLUME /vol\\nSTOPSIGNAL INT\\nCMD [\"cat\",\"/list\"]\\n' > Dockerfile && echo k > keep && echo d > drop.log && echo '*.log' > .dockerignore",
  ),
  check("a build tells its steps", "docker build -t bb ctx", { out: /^Sending build context to Docker daemon[\s\S]*Step 1\/\d+ : FROM [\s\S]*Successfully built [0-9a-f]{12}\nSuccessfully tagged bb:latest$/, err: LEGACY }),
  is("the ignored file is not there", "docker run --rm bb", "Dockerfile\nkeep\nnone"),
  check("--build-arg", "docker build -q --build-arg A=given -t ba ctx", { out: /^sha256:[0-9a-f]{64}$/, err: LEGACY }),
  is("the argument arrived", "docker run --rm ba", "Dockerfile\nkeep\ngiven"),
  check("the second time it comes from the cache", "docker build -t bb ctx | grep -c 'Using cache'", { out: /^[1-9]\d*$/, err: LEGACY }),
  check("the ID is the same", 'docker build -q ctx > id; [ "$(cat id)" = "$(docker image inspect -f \'{{.Id}}\' bb)" ] && echo same', { out: "same", err: LEGACY }),
  check("--no-cache runs all", "docker build --no-cache -t nc ctx | grep -c 'Using cache'; true", { out: "0", err: LEGACY }),
  check("--target stops there", "docker build -q --target first -t bt ctx >/dev/null; docker image inspect -f '{{json .Config.Labels}}' bt", { out: "null", err: LEGACY }),
  check("an unknown target is refused", "docker build --target nope ctx >/dev/null", { code: 1, out: "", err: /failed to reach build target nope in Dockerfile|target stage "?nope"? could not be found/ }),
  is("metadata is in the image", "docker image inspect -f '{{.Config.User}} {{.Config.WorkingDir}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.StopSignal}}' bb", '33 /src {"80/tcp":{}} {"/vol":{}} INT'),
  check("--label", "docker build -q --label x=y -t bl ctx >/dev/null; docker image inspect -f '{{json .Config.Labels}}' bl", { out: '{"stage":"second","x":"y"}', err: LEGACY }),
  check("two tags", "docker build -q -t t1:a -t t2:b ctx >/dev/null; docker image inspect -f '{{.Id}}' t1:a t2:b | uniq | wc -l", { out: "1", err: LEGACY }),
  check("-f another file", "echo 'FROM '$BASE > ctx/Other; echo 'LABEL o=1' >> ctx/Other; docker build -q -f ctx/Other -t bo ctx >/dev/null; docker image inspect -f '{{json .Config.Labels}}' bo", { out: '{"o":"1"}', err: LEGACY }),
  check("--iidfile", "docker build -q --iidfile iid ctx >/dev/null; grep -cE '^sha256:[0-9a-f]{64}$' iid", { out: "1", err: LEGACY }),
  check("a Dockerfile from standard input has no context", "printf 'FROM '$BASE'\\nRUN echo in >/f\\n' | docker build -q -t bi - >/dev/null; docker run --rm bi cat /f", { out: "in", err: LEGACY }),
  check("a context as a tar from standard input", "tar -C ctx -cf - . | docker build -q -t btar - >/dev/null; docker run --rm btar", { out: "Dockerfile\nOther\ndrop.log\nkeep\nnone", err: LEGACY }),
  check("a step that fails ends the build", "printf 'FROM '$BASE'\\nRUN exit 7\\n' | docker build - >/dev/null", { code: 7, out: "", err: /The command '\/bin\/sh -c exit 7' returned a non-zero code: 7/ }),
  check("a file that is not there", "printf 'FROM '$BASE'\\nCOPY nosuch /\\n' > ctx/Bad; docker build -f ctx/Bad ctx >/dev/null", { code: 1, out: "", err: /COPY failed: file not found in build context|"?\/?nosuch"?.*(not found|no such file)/ }),
  check("an unknown instruction", "printf 'FROM '$BASE'\\nNOPE x\\n' | docker build - >/dev/null", { code: 1, out: "", err: /unknown instruction: NOPE/ }),
  check("no FROM", "echo 'RUN x' | docker build - >/dev/null", { code: 1, out: "", err: /no build stage in current context/ }),
  check("an empty Dockerfile", "true > ctx/Empty; docker build -f ctx/Empty ctx >/dev/null", { code: 1, out: "", err: /(Dockerfile|file).*cannot be empty|file with no instructions/ }),
  check("no Dockerfile", "mkdir none; docker build none", { code: 1, out: "", err: /unable to evaluate symlinks in Dockerfile path|failed to read dockerfile/ }),
  fails("a context that is not there", "docker build nosuch 2>&1 >/dev/null | grep -v -e DEPRECATED -e BuildKit -e environment -e '^$' >&2; exit 1", 1, /path "nosuch" not found/),
  check("COPY --from and --chown", "printf 'FROM '$BASE' AS a\\nRUN echo z >/z\\nFROM '$BASE'\\nCOPY --from=a --chown=33:44 /z /y\\n' | docker build -q -t bf - >/dev/null; docker run --rm bf stat -c '%u:%g' /y", { out: "33:44", err: LEGACY }),
  check("ADD unpacks a local archive", "tar -C ctx -czf ctx/a.tgz keep; printf 'FROM '$BASE'\\nADD a.tgz /un/\\n' > ctx/Add; docker build -q -f ctx/Add -t badd ctx >/dev/null; docker run --rm badd cat /un/keep", { out: "k", err: LEGACY }),
  check("HEALTHCHECK, ENTRYPOINT and SHELL", "printf 'FROM '$BASE'\\nHEALTHCHECK --interval=5s CMD true\\nENTRYPOINT [\"echo\"]\\nCMD [\"c\"]\\n' | docker build -q -t bh - >/dev/null; docker run --rm bh; docker run --rm bh d; docker image inspect -f '{{json .Config.Healthcheck}}' bh", {
    out: 'c\nd\n{"Test":["CMD-SHELL","true"],"Interval":5000000000}',
    err: LEGACY,
  }),
  check("ONBUILD waits for the next build", "printf 'FROM '$BASE'\\nONBUILD RUN echo later >/later\\n' | docker build -q -t onb - >/dev/null; echo 'FROM onb' | docker build -q -t onb2 - >/dev/null; docker run --rm onb2 cat /later", { out: "later", err: () => true }),
  check("builder prune asks for nothing with -f", "docker builder prune -f | tail -1", { out: /^Total(?: reclaimed space)?:\s+\S+B$/, err: () => true }),
]);
