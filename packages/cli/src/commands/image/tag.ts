import { command, exactly } from "../../grammar/command.ts";
import { splitReference } from "../../output/text.ts";
import { imagePath } from "./image-path.ts";

export const tag = command({
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  args: exactly(2),
  flags: {},
  examples: [["slipway tag web:1 example.com/team/web:1", "A further name, to push it under"]],
  async run({ args: [source = "", target = ""], session }) {
    const { repository, tag: name, digest } = splitReference(target);
    const client = await session.client();
    await client.send("POST", `/images/${imagePath(source)}/tag`, {
      query: { repo: digest === undefined ? repository : target, tag: name },
    });
    return 0;
  },
});
