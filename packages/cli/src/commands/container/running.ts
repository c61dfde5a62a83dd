import type { ApiError } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../../streams/detach-keys.ts";

/** The exit code when a container's process could not be started: 127 not found, 126 not executable, 125 the rest. */
export function startStatus(error: ApiError): number {
  const { reason } = error;
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(reason))
    return 127;
  return /permission denied|is a directory/.test(reason) ? 126 : 125;
}

/** As the engine is told, which looks for them too, and as they are typed. */
export interface DetachKeys {
  readonly text: string;
  readonly bytes: readonly number[];
}

/** From the flag, or the user's settings, or Docker's own. Throws an `Error` for keys that are none. */
export async function detachKeysOf(flag: string, session: Session): Promise<DetachKeys> {
  const text = flag || (await session.config()).detachKeys || DEFAULT_DETACH_KEYS;
  return { text, bytes: parseDetachKeys(text) };
}
