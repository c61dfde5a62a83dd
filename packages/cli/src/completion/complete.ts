import type { Flags } from "../grammar/flag.ts";
import type { Io } from "../io.ts";
import { Session } from "../session.ts";
import type { Candidate } from "./engine-names.ts";
import { type Place, placeOf } from "./place.ts";
import { type Answer, argumentsOf, valuesOf } from "./values.ts";

/**
 * What may be typed at the end of a command line: its words without the program's name, the last one being the word at
 * the cursor. Every candidate is a whole word that begins with what is there. Never throws: a shell shows no errors.
 */
export async function complete(words: readonly string[], io: Io): Promise<Answer> {
  try {
    const { place, globals } = await placeOf(words);
    if (place === undefined) return [];
    return matching(place, await answerAt(place, sessionOf(io, globals)));
  } catch {
    return [];
  }
}

/** With the global flags of the line; and no engine is started because somebody pressed Tab. */
function sessionOf(io: Io, globals: ReadonlyMap<string, string>): Session {
  const text = (name: string) => globals.get(name) ?? "";
  const host = globals.get("host");
  const session = new Session(io, "slipway", {
    config: text("config"),
    context: text("context"),
    debug: false,
    host: host === undefined ? [] : [host],
    "log-level": "info",
    tls: globals.has("tlscert"),
    tlscacert: text("tlscacert"),
    tlscert: text("tlscert"),
    tlskey: text("tlskey"),
    tlsverify: globals.has("tlscacert"),
    version: false,
  });
  return session.withoutStart();
}

async function answerAt(place: Place, session: Session): Promise<Answer> {
  switch (place.kind) {
    case "command":
      return place.group.entries.flatMap((entry) =>
        entry.kind === "absent" || (entry.kind === "command" && entry.hidden === true)
          ? []
          : [{ word: entry.name, meaning: entry.summary }],
      );
    case "flag":
      return flagWords(place.flags);
    case "value":
      return await valuesOf(place, session);
    case "argument":
      return await argumentsOf(place, session);
  }
}

function flagWords(flags: Flags): Candidate[] {
  const shown = Object.entries(flags).filter(([, flag]) => flag.hidden !== true);
  return [...shown.map(([name, flag]) => ({ word: `--${name}`, meaning: flag.help })), HELP];
}

const HELP: Candidate = { word: "--help", meaning: "Show what the command does" };

function matching(place: Place, answer: Answer): Answer {
  if (answer === "files") return answer;
  const prefix = place.kind === "value" ? place.prefix : "";
  return answer
    .filter(({ word }) => word.startsWith(place.partial))
    .map((candidate) => ({ ...candidate, word: prefix + candidate.word }));
}
