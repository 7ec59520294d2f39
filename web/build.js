// Builds the pages into the package: the one of `comfy-inventory report`, and the one of `serve`.
// `node build.js [FOLDER]` puts both below a folder instead.
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const top = process.argv[2] ?? join(here, "../scanner");

async function bundle(name, entry, target) {
  mkdirSync(target, { recursive: true });
  const built = await build({
    absWorkingDir: here,
    entryPoints: { [name]: entry },
    bundle: true,
    minify: true,
    format: "iife",
    target: ["es2022"],
    charset: "ascii",
    legalComments: "none",
    outdir: target,
    metafile: true,
  });
  writeFileSync(join(target, "NOTICE"), notice(`${name}.js`, Object.keys(built.metafile.inputs)));
}

// The licences of everything that is in the bundle, as its packages state them.
function notice(file, inputs) {
  const packages = new Set();
  for (const input of inputs) {
    const match = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) packages.add(match[1]);
  }
  const notices = [...packages].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const text = readFileSync(join(folder, "LICENSE"), "utf8").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  const head = `${file} holds parts of these packages, which are under the following licences.\n`;
  return [head, ...notices].join("\n" + "-".repeat(72) + "\n\n");
}

await bundle("report", "src/report.js", join(top, "commands/report/bundle"));
const served = join(top, "web/bundle");
await bundle("app", "src/app/main.js", served);
for (const name of ["index.html", "icon.svg"]) copyFileSync(join(here, "src/app", name), join(served, name));
