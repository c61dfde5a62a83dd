import { expect, test } from "bun:test";
import { join } from "node:path";
import { ALLOWED_SIDEWAYS, LAYERS, TEST_PACKAGES } from "./layers.ts";
import { type Import, importsOf, packageNames, REPOSITORY } from "./sources.ts";

const layerOf = (name: string) => LAYERS.findIndex((layer) => layer.includes(name));
const shipped = packageNames().filter((name) => !TEST_PACKAGES.includes(name));
const at = (found: Import) => `${found.file}:${found.line} imports ${found.specifier}`;

test("every package stands in a layer", () => {
  expect(shipped.filter((name) => layerOf(name) < 0)).toEqual([]);
});

test("a package imports only packages of lower layers", () => {
  const forbidden = shipped.flatMap((name) =>
    importsOf(name)
      .filter((found) => {
        const target = /^@slipway\/([^/]+)/.exec(found.specifier)?.[1];
        if (target === undefined || target === name) return false;
        if (ALLOWED_SIDEWAYS.includes(`${name} -> ${target}`)) return false;
        return layerOf(target) < 0 || layerOf(target) >= layerOf(name);
      })
      .map((found) => `${name} (layer ${layerOf(name)}): ${at(found)}`),
  );
  expect(forbidden).toEqual([]);
});

test("a package is entered by its face alone", () => {
  const deep = packageNames().flatMap((name) =>
    importsOf(name)
      .filter(({ specifier, file }) => /^@slipway\/[^/]+\//.test(specifier) || leavesPackage(name, file, specifier))
      .map(at),
  );
  expect(deep).toEqual([]);
});

test("a package imports nothing that package.json does not name", async () => {
  const manifest = (await Bun.file(join(REPOSITORY, "package.json")).json()) as {
    dependencies?: Record<string, string>;
  };
  const known = new Set(Object.keys(manifest.dependencies ?? {}));
  const unknown = shipped.flatMap((name) =>
    importsOf(name)
      .filter(({ specifier }) => !/^(\.|node:|bun:|@slipway\/)/.test(specifier) && specifier !== "bun")
      .filter(
        ({ specifier }) =>
          !known.has(
            specifier
              .split("/")
              .slice(0, specifier.startsWith("@") ? 2 : 1)
              .join("/"),
          ),
      )
      .map(at),
  );
  expect(unknown).toEqual([]);
});

function leavesPackage(name: string, file: string, specifier: string): boolean {
  if (!specifier.startsWith(".")) return false;
  return !join(REPOSITORY, file, "..", specifier).startsWith(join(REPOSITORY, "packages", name, "/"));
}
