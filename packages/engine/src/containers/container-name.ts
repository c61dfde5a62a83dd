import { SlipwayError } from "@slipway/base";

const LONGEST = 255;
const VALID = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** A name without its leading slash. Throws `invalid` as Docker words it. */
export function parseContainerName(text: string): string {
  if (text.length > LONGEST)
    throw new SlipwayError("invalid", `Invalid container name: more than ${LONGEST} characters`);
  if (!VALID.test(text)) {
    throw new SlipwayError(
      "invalid",
      `Invalid container name (${text.slice(0, 200)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return text.replace(/^\//, "");
}

export function nameConflict(name: string, holder: string): SlipwayError {
  return new SlipwayError(
    "conflict",
    `Conflict. The container name "/${name}" is already in use by container "${holder}". ` +
      "You have to remove (or rename) that container to be able to reuse that name.",
  );
}

const MOODS =
  "able agile ample ardent astute balmy blithe bold brave breezy bright brisk buoyant calm candid cheery civil clear clever cosy crisp curious daring deft dapper eager earnest easy fabled fair fearless festive fleet fond frank fresh gallant genial gentle glad golden handy hardy hearty honest hopeful humble jaunty jolly jovial keen kind lively loyal lucid lucky mellow merry mighty modest neat nimble noble patient placid plucky polite proud quick quiet ready robust rosy serene sharp shiny silent smart snug sober spry stable steady stoic sturdy sunny swift tidy tranquil trim trusty upbeat valiant vivid warm wise witty young zesty".split(
    " ",
  );

/** People of ships, seas, harbours and navigation, and those who computed for them. */
const SURNAMES =
  "amundsen anning anson baffin banks barents bass beaufort bering blackwood bligh bougainville brunel bowditch cabot cartier chichester clark columbus cook cousteau cunard dampier darwin davis drake ericson fitzroy flinders franklin frobisher fulton gama gilbert grenville halley harrison hawkins heyerdahl hopper hudson humboldt lovelace joyon kidd kingsford lind lister macarthur magellan maury mercator mitchell mylne nansen napier nelson noether nordenskjold parry peary piccard ptolemy raleigh reis ross scoresby scott shackleton slocum somerville sopwith stevenson tabarly tasman tereshkova torres vancouver vespucci wallis weddell whitby worsley zheng".split(
    " ",
  );

/** A name that nobody has: `merry_hopper`. `taken` says what is; `random` gives numbers below 1. */
export function generateName(taken: (name: string) => boolean, random: () => number = Math.random): string {
  for (let attempt = 0; ; attempt++) {
    const name = `${pick(MOODS, random)}_${pick(SURNAMES, random)}`;
    // With many containers plain pairs run out; a growing number always ends the search.
    const candidate = attempt < 6 ? name : `${name}${attempt - 5}`;
    if (!taken(candidate)) return candidate;
  }
}

function pick(words: readonly string[], random: () => number): string {
  return words[Math.floor(random() * words.length)] ?? "plain";
}
