import { SlipwayError } from "@slipway/base";
import { findStage } from "@slipway/dockerfile";
import { hostPlatform } from "@slipway/oci";
import { atPlace } from "./errors.ts";
import { MAIN_CONTEXT, type PlanRequest } from "./plan-request.ts";
import { platformArgs, StageVariables } from "./variables.ts";

/** The ARGs before the first FROM, with those of the platforms. `expandWord` gives a word its value. */
export function readGlobalArgs(
  request: PlanRequest,
  expandWord: (word: string, variables: StageVariables) => string,
): StageVariables {
  const { dockerfile, buildArgs } = request;
  const stage = request.target ?? dockerfile.stages.at(-1)?.name ?? "default";
  const variables = new StageVariables([], platformArgs(request.platform ?? hostPlatform(), stage));
  for (const { args, range } of dockerfile.globalArgs) {
    atPlace(dockerfile.source, range, () => {
      for (const arg of args) {
        const name = expandWord(arg.name, variables);
        const given = Object.hasOwn(buildArgs, name) ? buildArgs[name] : undefined;
        const value = given ?? (arg.value === undefined ? undefined : expandWord(arg.value, variables));
        if (value !== undefined || !variables.args.has(name)) variables.args.set(name, value);
      }
    });
  }
  return variables;
}

/** SOURCE_DATE_EPOCH, given or a global default: seconds since 1970. Throws `invalid`. */
export function readEpoch(request: PlanRequest, globals: StageVariables): number | undefined {
  const { buildArgs, dockerfile } = request;
  const text = buildArgs.SOURCE_DATE_EPOCH ?? globals.args.get("SOURCE_DATE_EPOCH");
  if (text === undefined || text === "") return undefined;
  if (text === MAIN_CONTEXT || findStage(dockerfile.stages, text) !== undefined) {
    throw new SlipwayError(
      "not-implemented",
      `SOURCE_DATE_EPOCH=${text} (the time of a context or stage) is not built yet`,
      {
        hint: "Give seconds since 1970, such as the output of: git log -1 --format=%ct",
      },
    );
  }
  if (!/^\d{1,12}$/.test(text)) {
    throw new SlipwayError("invalid", `SOURCE_DATE_EPOCH is '${text.slice(0, 100)}', expected seconds since 1970`, {
      hint: "Give a number, such as the output of: git log -1 --format=%ct",
    });
  }
  return Number(text);
}
