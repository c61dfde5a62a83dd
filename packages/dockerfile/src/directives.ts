import { nearest } from "@slipway/base";
import type { EscapeCharacter } from "./expand.ts";
import { RULE_NAMES } from "./rules.ts";
import { type SourceRange, type SourceText, sourceError } from "./source.ts";

/** The comments at the top of a file that steer its parsing. */
export interface Directives {
  /** The front end's image, and the whole value as its command line. */
  readonly syntax?: { readonly reference: string; readonly commandLine: string; readonly range: SourceRange };
  readonly escape: EscapeCharacter;
  readonly check: CheckDirective;
}

/** `# check=skip=A,B;error=true;experimental=C`. */
export interface CheckDirective {
  readonly skip: RuleSet;
  readonly error: boolean;
  readonly experimental: RuleSet;
}

export type RuleSet = "all" | readonly string[];

export const NO_CHECK: CheckDirective = { skip: [], error: false, experimental: [] };

/** For lines whose outer blanks are gone. */
const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+)$/;
const SLASHED = /^\/\/\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+)$/;
/** A check directive for one instruction, in a comment directly above it. */
export const CHECK_COMMENT = /^check\s*=\s*(.+)$/i;
const NAMES = new Set(["syntax", "escape", "check"]);

export interface DirectiveBlock extends Directives {
  /** The first line after the directives, from 1. */
  readonly bodyLine: number;
}

/**
 * Reads directives until the first line that is none. A `#!` line may come first. `// syntax=` is taken as well, and a
 * file that is a JSON object may name its front end in `syntax`.
 */
export function readDirectives(source: SourceText): DirectiveBlock {
  let line = source.lines[0]?.startsWith("#!") ? 2 : 1;
  const found = new Map<string, { readonly value: string; readonly range: SourceRange }>();
  const slashed = source.lines[line - 1]?.startsWith("//") ?? false;
  for (; ; line++) {
    const match = (slashed ? SLASHED : DIRECTIVE).exec((source.lines[line - 1] ?? "").trim());
    const name = match?.[1]?.toLowerCase() ?? "";
    if (match === null || !(NAMES.has(name) || slashed)) break;
    const range = { file: source.file, startLine: line, endLine: line };
    if (found.has(name)) {
      throw sourceError(source, range, {
        message: `only one ${name} parser directive can be used`,
        hint: "Remove one of them.",
      });
    }
    found.set(name, { value: match[2] ?? "", range });
  }
  const syntax = found.get("syntax") ?? jsonSyntax(source);
  const escapeFound = slashed ? undefined : found.get("escape");
  const checkFound = slashed ? undefined : found.get("check");
  return {
    bodyLine: line,
    escape: escapeFound === undefined ? "\\" : readEscape(source, escapeFound.value, escapeFound.range),
    check: checkFound === undefined ? NO_CHECK : readCheck(source, checkFound.value, checkFound.range),
    ...(syntax === undefined
      ? {}
      : {
          syntax: {
            reference: syntax.value.split(/\s+/)[0] ?? "",
            commandLine: syntax.value,
            range: syntax.range,
          },
        }),
  };
}

function jsonSyntax(source: SourceText): { value: string; range: SourceRange } | undefined {
  if (!source.lines[0]?.trimStart().startsWith("{")) return undefined;
  try {
    const document: unknown = JSON.parse(source.lines.join("\n"));
    const value = document !== null && typeof document === "object" && "syntax" in document && document.syntax;
    if (typeof value !== "string" || value === "") return undefined;
    return { value, range: { file: source.file, startLine: 1, endLine: source.lines.length } };
  } catch {
    return undefined;
  }
}

function readEscape(source: SourceText, value: string, range: SourceRange): EscapeCharacter {
  if (value === "\\" || value === "`") return value;
  throw sourceError(source, range, {
    message: `invalid escape '${value}': it must be \\ or \``,
    hint: "Write # escape=` for files with many Windows paths, or leave the directive out.",
  });
}

/** The value of a check directive, at the top of the file or above an instruction. Throws `invalid`. */
export function readCheck(source: SourceText, value: string, range: SourceRange): CheckDirective {
  let check = NO_CHECK;
  for (const part of (value.split(/\s\/\//)[0] ?? "").split(";")) {
    if (part.trim() === "") continue;
    const equals = part.indexOf("=");
    const key = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    const text = equals < 0 ? "" : part.slice(equals + 1).trim();
    if (equals < 0 || !["skip", "error", "experimental"].includes(key)) {
      throw sourceError(source, range, {
        message: `invalid check option '${part.trim()}'`,
        hint: "Write skip=RULE,RULE or skip=all, error=true, experimental=RULE.",
      });
    }
    if (key === "error") check = { ...check, error: readBoolean(source, text, range) };
    else check = { ...check, [key]: ruleSet(source, text, range) };
  }
  return check;
}

function ruleSet(source: SourceText, text: string, range: SourceRange): RuleSet {
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => name.toLowerCase() === "all")) return "all";
  // A rule of a newer version is no mistake; a name that is nearly one of ours is.
  for (const name of names) {
    if (RULE_NAMES.some((rule) => rule === name)) continue;
    const near = nearest(name, RULE_NAMES);
    if (near !== undefined) {
      throw sourceError(source, range, { message: `unknown rule '${name}'`, hint: `Did you mean ${near}?` });
    }
  }
  return names.filter((name) => name !== "");
}

function readBoolean(source: SourceText, text: string, range: SourceRange): boolean {
  if (/^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw sourceError(source, range, { message: `invalid value '${text}' for error`, hint: "Write error=true." });
}
