/** Whether a character parts words (`unicode.IsSpace`). Hot in every lexer here, so ASCII is decided without a pattern. */
export function isBlank(char: string): boolean {
  const code = char.charCodeAt(0);
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  return code > 0x7f && /\s/u.test(char);
}
