// Builds dnw_graph/view/built from source/ and the packages of package-lock.json: `npm ci && npm run build`.
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const built = process.argv[2] ?? join(here, "../dnw_graph/view/built");
mkdirSync(built, { recursive: true });

// What a test compares with the sources, so that nobody forgets to build.
const hash = createHash("sha256");
for (const name of ["package-lock.json", ...readdirSync(join(here, "source")).sort().map((each) => `source/${each}`)])
  hash.update(name + "\n").update(readFileSync(join(here, name)));

const options = { bundle: true, minify: true, format: "iife", target: "es2022", legalComments: "none", charset: "utf8" };
// luma.gl logs to the console, through a package that asks for a version at build time.
const define = { "process.env.NODE_ENV": '"production"' };
const library = await build({
  ...options,
  define,
  stdin: { contents: 'export { Graph } from "@cosmos.gl/graph";', resolveDir: here },
  globalName: "cosmos",
  metafile: true,
  outfile: join(built, "library.js"),
});
await build({
  ...options,
  entryPoints: [join(here, "source/main.js")],
  banner: { js: `/* sources: ${hash.digest("hex")} */` },
  outfile: join(built, "page.js"),
});
for (const name of ["page.html", "page.css"]) copyFileSync(join(here, "source", name), join(built, name));

const packages = new Set();
for (const input of Object.keys(library.metafile.inputs)) {
  const found = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) packages.add(found[1]);
}
const texts = [...packages].sort().map((name) => {
  const folder = join(here, "node_modules", name);
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e(\.\w+)?$/i.test(each));
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : `License: ${about.license}, as its package.json says.`;
  return `${about.name} ${about.version} (${about.license})\n\n${text}\n`;
});
writeFileSync(join(built, "LICENSES.txt"), `library.js is made of these packages.\n\n${texts.join("\n" + "-".repeat(80) + "\n\n")}`);
