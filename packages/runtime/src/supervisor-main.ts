/** The supervisor as a program of its own, for a daemon that is not the compiled executable: `bun supervisor-main.ts EXEC_ROOT`. */
import { runSupervisor } from "./supervisor/main.ts";

process.exit(await runSupervisor(process.argv.slice(2)));
