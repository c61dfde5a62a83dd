import type { ApiError } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { DEFAULT_DETACH_KEYS } from "../../streams/detach-keys.ts";

/** The exit code when a container's process could not be started: 127 not found, 126 not executable, 125 the rest. */
export function startStatus(error: ApiError): number {
  const { reason } = error;
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(reason))
    return 127;
  return /permission denied|is a directory/.test(reason) ? 126 : 125;
}

/** From the flag, or the user's settings, or Docker's own. */
export async function detachKeysOf(flag: string, session: Session): Promise<string> {
  if (flag !== "") return flag;
  return (await session.config()).detachKeys ?? DEFAULT_DETACH_KEYS;
}
