/** An image's name inside a path: its slashes stay as they are. */
export function imagePath(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":").replaceAll("%40", "@");
}
