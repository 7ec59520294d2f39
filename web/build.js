// Builds the page of `comfy-inventory report` into the package. `node build.js [FOLDER]`
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "../scanner/commands/report/bundle");

const built = await build({
  absWorkingDir: here,
  entryPoints: { report: "src/main.js" },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  charset: "ascii",
  legalComments: "none",
  outdir: target,
  metafile: true,
});

// The licences of everything that is in the bundle, as its packages state them.
const packages = new Set();
for (const input of Object.keys(built.metafile.inputs)) {
  const match = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (match) packages.add(match[1]);
}
const notices = [...packages].sort().map((name) => {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const text = readFileSync(join(folder, "LICENSE"), "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
const head = "report.js holds parts of these packages, which are under the following licences.\n";
writeFileSync(join(target, "NOTICE"), [head, ...notices].join("\n" + "-".repeat(72) + "\n\n"));
