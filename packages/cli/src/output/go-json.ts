/** JSON as Go's encoder writes it: these three characters are escapes. */
export function goJson(text: string): string {
  return text.replace(/[<>&]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
