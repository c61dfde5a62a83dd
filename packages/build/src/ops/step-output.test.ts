import { describe, expect, test } from "bun:test";
import { StepOutput } from "./step-output.ts";

const shownOf = (chunks: readonly (string | ["stdout" | "stderr", string])[], ...secrets: string[]) => {
  const shown: string[] = [];
  const output = new StepOutput(
    (event) => {
      if (event.type === "log") shown.push(Buffer.from(event.data).toString());
    },
    secrets.map((secret) => Buffer.from(secret)),
  );
  for (const chunk of chunks) {
    const [stream, text] = typeof chunk === "string" ? (["stdout", chunk] as const) : chunk;
    output.write(stream, Buffer.from(text));
  }
  output.end();
  return { shown, text: shown.join(""), last: output.lastLines() };
};

describe("secrets in output", () => {
  test("are taken out wherever the chunks end", () => {
    const text = "before s3cr3t-value after s3cr3t-value\n";
    for (let cut = 0; cut <= text.length; cut++) {
      for (let second = cut; second <= text.length; second++) {
        const chunks = [text.slice(0, cut), text.slice(cut, second), text.slice(second)];
        expect(shownOf(chunks, "s3cr3t-value").text).toBe("before *** after ***\n");
      }
    }
  });

  test("are taken out byte by byte, with several lines, and where one begins with another", () => {
    const [long, short] = ["key-one\nkey-two\nend", "key-one"];
    const text = `a ${long} b ${short} c key-onkey-one d`;
    expect(shownOf([...text], short, long).text).toBe("a *** b *** c key-on*** d");
    expect(shownOf([text], short, long).text).toBe("a *** b *** c key-on*** d");
  });

  test("hold back only what may be one, and nothing at the end", () => {
    expect(shownOf(["abc s3", "x", "y\n"], "s3cret").shown).toEqual(["abc ", "s3x", "y\n"]);
    expect(shownOf(["line s3cr"], "s3cret")).toMatchObject({ shown: ["line ", "s3cr"], last: ["line s3cr"] });
  });

  test("of one stream are not made up of both", () => {
    expect(
      shownOf(
        [
          ["stdout", "s3c"],
          ["stderr", "ret"],
        ],
        "s3cret",
      ).text,
    ).toBe("rets3c");
  });
});
