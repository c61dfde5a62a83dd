/** Where a text stops being JSON, both counted from 1. */
export interface Mistake {
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

const TOKEN =
  /\s*(?:("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)|([{}[\],:]))/y;

type Expected = "value" | "value or ]" | "name" | "name or }" | "colon" | "comma" | "end";

const WORDS: Readonly<Record<Expected, string>> = {
  value: "a value was expected",
  "value or ]": "a value or ] was expected",
  name: "a name in quotation marks was expected; the last one must have no comma after it",
  "name or }": "a name in quotation marks or } was expected",
  colon: "a colon was expected after the name",
  comma: "a comma or a closing bracket was expected",
  end: "nothing more was expected",
};

/** The first mistake; undefined when there is none. The runtime's parser tells what, but not where. */
export function findMistake(text: string): Mistake | undefined {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  let at = 0;
  for (;;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    const begin = at + (/^\s*/.exec(text.slice(at))?.[0].length ?? 0);
    if (match === null) {
      if (begin >= text.length && expected === "end") return undefined;
      const reason =
        begin >= text.length
          ? `it ends where ${WORDS[expected].replace(/ was expected.*/, "")} was expected`
          : WORDS[expected];
      return placed(text, begin, reason);
    }
    const [whole, string, number, word, mark] = match;
    const next = after({
      expected,
      open,
      isName: string !== undefined,
      isValue: (string ?? number ?? word) !== undefined,
      mark,
    });
    if (next === undefined) return placed(text, begin, WORDS[expected]);
    expected = next;
    at += whole.length;
  }
}

interface Step {
  readonly expected: Expected;
  readonly open: ("{" | "[")[];
  readonly isName: boolean;
  readonly isValue: boolean;
  readonly mark: string | undefined;
}

/** What may follow a token; undefined when the token must not stand here. */
function after({ expected, open, isName, isValue, mark }: Step): Expected | undefined {
  const closed = (): Expected => {
    open.pop();
    return open.length === 0 ? "end" : "comma";
  };
  switch (expected) {
    case "name":
    case "name or }":
      if (mark === "}" && expected === "name or }") return closed();
      return isName ? "colon" : undefined;
    case "colon":
      return mark === ":" ? "value" : undefined;
    case "comma":
      if (mark === ",") return open.at(-1) === "{" ? "name" : "value";
      return mark === (open.at(-1) === "{" ? "}" : "]") ? closed() : undefined;
    case "end":
      return undefined;
    default:
      if (isValue) return open.length === 0 ? "end" : "comma";
      if (mark === "]" && expected === "value or ]") return closed();
      if (mark !== "{" && mark !== "[") return undefined;
      open.push(mark);
      return mark === "{" ? "name or }" : "value or ]";
  }
}

function placed(text: string, at: number, reason: string): Mistake {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, reason };
}
