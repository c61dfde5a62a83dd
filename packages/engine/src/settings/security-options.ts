import { JsonReader, SlipwayError } from "@slipway/base";

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  /** `default`, `unconfined`, or the JSON of a profile. */
  readonly seccomp: string;
  readonly apparmor: string | undefined;
  /** `systempaths=unconfined`: nothing is masked or read-only. */
  readonly systemPathsOpen: boolean;
}

/** Reads `SecurityOpt`: `name=value`, or the older `name:value`. A seccomp profile arrives as its JSON. Throws `invalid`. */
export function readSecurityOptions(options: readonly string[]): SecurityOptions {
  let result: SecurityOptions = {
    noNewPrivileges: false,
    seccomp: "default",
    apparmor: undefined,
    systemPathsOpen: false,
  };
  for (const option of options) result = { ...result, ...readOption(option) };
  return result;
}

function readOption(option: string): Partial<SecurityOptions> {
  if (option === "no-new-privileges") return { noNewPrivileges: true };
  const cut = option.search(/[=:]/);
  if (cut < 0) throw new SlipwayError("invalid", `invalid --security-opt 1: "${option.slice(0, 200)}"`);
  const [name, value] = [option.slice(0, cut), option.slice(cut + 1)];
  switch (name) {
    case "no-new-privileges":
      if (value !== "true" && value !== "false") {
        throw new SlipwayError("invalid", `invalid --security-opt 2: "${option}"`, { hint: "Write true or false." });
      }
      return { noNewPrivileges: value === "true" };
    case "seccomp":
      if (value === "unconfined" || value === "builtin") return { seccomp: value === "builtin" ? "default" : value };
      JsonReader.parse(value, "seccomp profile").object();
      return { seccomp: value };
    case "apparmor":
      return { apparmor: value };
    case "systempaths":
      if (value !== "unconfined") throw new SlipwayError("invalid", `invalid --security-opt 2: "${option}"`);
      return { systemPathsOpen: true };
    // SELinux is not there on Debian; its labels have nothing to act on.
    case "label":
      return {};
    default:
      throw new SlipwayError("invalid", `invalid --security-opt 2: "${option.slice(0, 200)}"`, {
        hint: "Known: no-new-privileges, seccomp, apparmor, systempaths, label.",
      });
  }
}
