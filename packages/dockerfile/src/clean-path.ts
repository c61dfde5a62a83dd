/** Go's `filepath.Clean`: no empty, `.` or inner `..` parts; `.` for nothing. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith("/");
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!rooted) kept.push(part);
  }
  return rooted ? `/${kept.join("/")}` : kept.join("/") || ".";
}

/** The last part of a path, or the path itself when it has none. */
export function baseName(path: string): string {
  return cleanPath(path).split("/").at(-1) || path;
}
