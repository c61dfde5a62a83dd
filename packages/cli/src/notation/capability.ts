const ALL = "ALL";

/** What is added and what is taken away, each sorted and under its full name; what is added is not taken away. */
export function capabilities(added: readonly string[], dropped: readonly string[]): { add: string[]; drop: string[] } {
  const [add, drop] = [named(added), named(dropped)];
  return { add: [...add].sort(), drop: [...drop].filter((name) => !add.has(name)).sort() };
}

function named(names: readonly string[]): Set<string> {
  const full = new Set(names.map(fullName));
  return full.has(ALL) ? new Set([ALL]) : full;
}

function fullName(text: string): string {
  const name = text.trim().toUpperCase();
  return name === ALL || name.startsWith("CAP_") ? name : `CAP_${name}`;
}
