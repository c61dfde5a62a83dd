import type { Exchange } from "../api/handler.ts";

/** One line of JSON for a request that was answered. `seconds` is the time until the answer began. */
export function accessLine(
  { request, path, peer, user, route }: Exchange,
  { status, bytes, seconds }: { readonly status: number; readonly bytes: number; readonly seconds: number },
): string {
  return JSON.stringify({
    time: new Date().toISOString(),
    peer,
    user,
    method: request.method,
    path: path.slice(0, 1000),
    route,
    status,
    bytes,
    ms: Math.round(seconds * 1e5) / 100,
    agent: request.headers.get("user-agent")?.slice(0, 200),
  });
}
