// Bundles the sources into the two files that the package ships, each a classic script that opens from a file as well.
//
//     node build.js            writes them
//     node build.js --check    fails if what is there is not what the sources give, and prints what each weighs
import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const here = new URL("./", import.meta.url);
const target = new URL("../gan_course/notebook/browser/", here);
const common = {
  bundle: true, minify: true, write: false, format: "iife", target: "es2022", charset: "utf8", legalComments: "none",
  absWorkingDir: here.pathname, loader: { ".css": "text" },
};

// A worker's program travels inside the page's script, for a page that was opened from a file may load no other: as a
// function of the worker's scope, whose text starts a worker, and which the page can call where it may start none.
const workers = {
  name: "workers",
  setup({ onLoad }) {
    onLoad({ filter: /program\.js$/ }, async ({ path }) => {
      const { outputFiles } = await build({ ...common, entryPoints: [path] });
      return { contents: `export default function (self) {${outputFiles[0].text}}`, loader: "js" };
    });
  },
};

const check = process.argv.includes("--check");
for (const [name, globalName] of [["lab", "GanLab"], ["generators", "GanGenerators"]]) {
  const entryPoints = [`src/${name}/index.js`];
  const { outputFiles } = await build({ ...common, plugins: [workers], globalName, entryPoints });
  const text = outputFiles[0].text;
  const file = new URL(`${name}.js`, target);
  if (check) {
    const there = await readFile(file, "utf8").catch(() => "");
    if (there !== text) {
      console.error(`${file.pathname} is not what the sources give: run \`npm run build\` in lab/`);
      process.exitCode = 1;
    }
  } else await writeFile(file, text);
  console.log(`${name}.js: ${text.length} characters, ${gzipSync(text, { level: 9 }).length} bytes compressed`);
}
