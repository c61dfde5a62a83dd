import type { Session } from "../session.ts";
import { type Finding, fail, ok } from "./finding.ts";

/** The engine that commands would go to. A missing one is started by the next command if it is this machine's own. */
export async function checkEngine(session: Session): Promise<{ finding: Finding; dataRoot: string | undefined }> {
  try {
    const client = await session.client();
    const { Version = "", ApiVersion = "" } = await client.json<Record<string, string>>("GET", "/version");
    const { DockerRootDir } = await client.json<{ DockerRootDir?: string }>("GET", "/info");
    const finding = ok("engine", `version ${Version}, API ${ApiVersion}`);
    return { finding, dataRoot: DockerRootDir };
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    const isOwn = session.hostFlag === "" && !session.io.env.DOCKER_HOST && (await session.contextName()) === "default";
    const finding =
      isOwn && process.geteuid?.() === 0
        ? ok("engine", "does not run; the next command that needs it starts it")
        : fail("engine", message, hint ?? "Check --host, DOCKER_HOST and the context.");
    return { finding, dataRoot: undefined };
  }
}
