/** Writes docs/commands.md. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandReference } from "@slipway/cli";

writeFileSync(join(import.meta.dir, "../docs/commands.md"), await commandReference());
