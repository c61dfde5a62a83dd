/**
 * The command that runs this program again: the executable alone when it is compiled, else Bun and the script that it
 * was started with.
 */
export function selfCommand(): string[] {
  // Inside a compiled executable the script lies in Bun's virtual file system.
  const compiled = Bun.main.startsWith("/$bunfs/");
  return compiled ? [process.execPath] : [process.execPath, Bun.main];
}
