import { complete } from "../completion/complete.ts";
import { FILES, SCRIPTS } from "../completion/scripts.ts";
import { splitLine } from "../completion/split-line.ts";
import { ExitError } from "../errors.ts";
import { ANY, command, exactly } from "../grammar/command.ts";
import { flag } from "../grammar/flag.ts";

const PROGRAM = "slipway";

export const completion = command({
  usage: "[OPTIONS] bash|zsh|fish",
  args: exactly(1),
  flags: {
    name: flag.string("Complete for this name of the program: an alias, such as docker", { default: PROGRAM }),
  },
  examples: [
    ["source <(slipway completion bash)", "For this shell, or as a line of ~/.bashrc"],
    ["source <(slipway completion bash --name docker)", "When docker is an alias of slipway"],
    ["slipway completion fish > ~/.config/fish/completions/slipway.fish", "For every fish from now on"],
  ],
  async run({ flags, args, session }) {
    const [shell = ""] = args;
    const script = SCRIPTS[shell];
    if (script === undefined) {
      throw new ExitError(1, `no completion for shell '${shell}'`, `One of ${Object.keys(SCRIPTS).join(", ")}.`);
    }
    if (!/^[A-Za-z0-9._-]+$/.test(flags.name)) throw new ExitError(1, `'${flags.name}' is not a program's name`);
    session.io.stdout.write(script(flags.name, PROGRAM));
    return 0;
  },
});

/** What the scripts call: a candidate a line, its meaning behind a tab. */
export const completeWords = command({
  usage: "--line LINE | -- [WORD...]",
  args: { min: 0, max: ANY },
  interspersed: false,
  flags: { line: flag.string("The line up to the cursor, with the program's name") },
  async run({ flags, given, args, session }) {
    const words = given("line") ? splitLine(flags.line).slice(1) : args;
    const answer = await complete(words, session.io);
    const lines =
      answer === "files"
        ? [FILES]
        : answer.map(({ word, meaning }) => (meaning ? `${word}\t${meaning.replaceAll(/\s+/g, " ")}` : word));
    session.io.stdout.write(lines.map((line) => `${line}\n`).join(""));
    return 0;
  },
});
