import { expect, test } from "bun:test";
import { imageTree } from "./image-tree.ts";

test("an image shows its names, and each platform with its sizes", () => {
  const platform = (architecture: string, containers: string[], available = true) => ({
    ID: `sha256:${architecture.padEnd(64, "0")}`,
    Available: available,
    Kind: "image",
    Size: { Total: 4_000_000, Content: 2_000_000 },
    ImageData: { Platform: { os: "linux", architecture }, Containers: containers },
  });
  const image = {
    ...{ Id: `sha256:${"a".repeat(64)}`, Created: 0, Size: 1, RepoDigests: [] },
    RepoTags: ["docker.io/library/web:1", "web:2"],
    Manifests: [platform("amd64", ["c"]), platform("arm64", [], false)],
  };
  const bare = { Id: `sha256:${"b".repeat(64)}`, Created: 0, Size: 7_000_000, RepoTags: [], RepoDigests: [] };
  expect(imageTree([image, bare] as never, { truncate: true })).toBe(
    [
      "IMAGE            ID             DISK USAGE   CONTENT SIZE   EXTRA",
      "web:1            aaaaaaaaaaaa   8MB          4MB            U",
      "web:2",
      "├─ linux/amd64   amd640000000   4MB          2MB            U",
      "└─ linux/arm64   arm640000000   4MB          2MB            not here",
      "<untagged>       bbbbbbbbbbbb   7MB          0B",
      "",
    ].join("\n"),
  );
});
