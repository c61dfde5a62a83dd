import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { BunPlugin } from "bun";

/**
 * Lets the bundler see which file of a package an import needs.
 *
 * The sources import packages by their face alone. The bundler assigns whole files to chunks, and a face leads to every
 * file of its package: with it `slipway ps` would load what only the engine needs. So `import { a } from "@slipway/x"` is
 * read as an import of the file that the face takes `a` from.
 */
export function directImports(repository: string): BunPlugin {
  const faces = new Map<string, ReadonlyMap<string, Origin>>();
  const faceOf = (name: string) => {
    const known = faces.get(name) ?? readFace(join(repository, "packages", name, "src/index.ts"));
    faces.set(name, known);
    return known;
  };
  return {
    name: "direct-imports",
    setup(build) {
      build.onLoad({ filter: /\/packages\/[^/]+\/src\/.*\.ts$/ }, ({ path }) => {
        const source = readFileSync(path, "utf8");
        const contents = source.replace(IMPORT, (statement, names: string, face: string) =>
          direct(statement, names, faceOf(face)),
        );
        return { contents, loader: "ts" };
      });
    },
  };
}

/** Static imports by name; a dynamic import takes the whole face, and asks for it. */
const IMPORT = /^import \{([^}]*)\} from "@slipway\/([a-z]+)";$/gm;
const EXPORT = /^export \{([^}]*)\} from "(\.[^"]+)";$/gm;

interface Origin {
  readonly file: string;
  readonly name: string;
}

function readFace(path: string): ReadonlyMap<string, Origin> {
  const origins = new Map<string, Origin>();
  for (const [, names = "", specifier = ""] of readFileSync(path, "utf8").matchAll(EXPORT)) {
    for (const { name, alias } of specifiers(names)) origins.set(alias, { file: join(dirname(path), specifier), name });
  }
  return origins;
}

function direct(statement: string, names: string, face: ReadonlyMap<string, Origin>): string {
  const wanted = specifiers(names).map(({ name, alias }) => ({ alias, origin: face.get(name) }));
  if (wanted.some(({ origin }) => origin === undefined)) return statement;
  const lines = wanted.map(
    ({ alias, origin }) => `import { ${origin?.name} as ${alias} } from ${JSON.stringify(origin?.file)};`,
  );
  // On one line each statement counts the same lines as before, so that errors keep their places.
  return lines.join(" ") + "\n".repeat(statement.split("\n").length - 1);
}

/** The values of a list of names; types are nothing at run time. */
function specifiers(names: string): { readonly name: string; readonly alias: string }[] {
  return names
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && !name.startsWith("type "))
    .map((text) => {
      const [name = "", alias = name] = text.split(" as ");
      return { name, alias };
    });
}
