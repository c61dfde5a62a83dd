const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};
const ESCAPE = /\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))/y;

/** The text of a Go string or character literal with its quotes; undefined when an escape is wrong. */
export function unquote(literal: string): string | undefined {
  const mark = literal.charAt(0);
  const body = literal.slice(1, -1);
  if (mark === "`") return body.replaceAll("\r", "");
  let text = "";
  for (let at = 0; at < body.length; ) {
    if (body.charAt(at) !== "\\") {
      text += body.charAt(at++);
      continue;
    }
    ESCAPE.lastIndex = at;
    const match = ESCAPE.exec(body);
    if (match === null) return undefined;
    const piece = decodeEscape(match, mark);
    if (piece === undefined) return undefined;
    text += piece;
    at = ESCAPE.lastIndex;
  }
  return text;
}

function decodeEscape(match: RegExpExecArray, mark: string): string | undefined {
  const [, simple, byte, short, long, octal] = match;
  if (simple !== undefined) {
    // Only the literal's own quotation mark may be escaped.
    if ((simple === "'" || simple === '"') && simple !== mark) return undefined;
    return SIMPLE_ESCAPES[simple];
  }
  const code = octal === undefined ? Number.parseInt(byte ?? short ?? long ?? "", 16) : Number.parseInt(octal, 8);
  return code > 0x10ffff || (octal !== undefined && code > 255) ? undefined : String.fromCodePoint(code);
}

/** The value of a Go number or character literal, or the text of the mistake. */
export function parseNumber(literal: string): { value: number | bigint; isInt: boolean } | string {
  if (literal.startsWith("'")) {
    const text = unquote(literal);
    const code = text === undefined || [...text].length !== 1 ? undefined : text.codePointAt(0);
    return code === undefined ? `malformed character constant: ${literal}` : { value: code, isInt: true };
  }
  const sign = literal.startsWith("-") ? -1 : 1;
  const digits = literal.replace(/^[+-]/, "");
  const bad = `illegal number syntax: ${JSON.stringify(literal)}`;
  if (/__|_$|^_|_\.|\._/.test(digits)) return bad;
  const plain = digits.replaceAll("_", "");
  if (/^(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/.test(plain)) return integer(sign, BigInt(plain), literal);
  if (/^0[0-7]+$/.test(plain)) return integer(sign, BigInt(`0o${plain}`), literal);
  // Go's own wording for digits that are not octal.
  if (/^0[0-9]+$/.test(plain)) return `integer overflow: ${JSON.stringify(literal)}`;
  if (/^[0-9]+$/.test(plain)) return integer(sign, BigInt(plain), literal);
  if (/^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(plain))
    return { value: sign * Number(plain), isInt: false };
  return bad;
}

function integer(sign: number, magnitude: bigint, literal: string): { value: number | bigint; isInt: true } | string {
  const value = BigInt(sign) * magnitude;
  if (BigInt.asIntN(64, value) !== value) return `${literal} overflows int`;
  return { value: Number.isSafeInteger(Number(value)) ? Number(value) : value, isInt: true };
}
