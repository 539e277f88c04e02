// Bundles src/main.ts into the Python package: node build.mjs [--check]
import { build, transform } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const LIMIT = 180_000;
const target = fileURLToPath(new URL("../src/modscope/viewer/static/viewer.js", import.meta.url));
const style = {
  name: "style as a text",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code, loader: "text" };
    }),
};
const result = await build({
  entryPoints: [fileURLToPath(new URL("src/main.ts", import.meta.url))],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "ascii",
  legalComments: "none",
  plugins: [style],
  write: false,
});
const text = result.outputFiles[0].text;
const fail = (why) => {
  console.error(`viewer.js: ${why}`);
  process.exit(1);
};
if (text.length > LIMIT) fail(`${text.length} bytes, at most ${LIMIT} are allowed`);
if (/https?:\/\//.test(text)) fail("holds an address");
if (process.argv.includes("--check")) {
  if ((await readFile(target, "utf8")) !== text) fail("differs from its sources: run `npm run build` in js/");
} else {
  await writeFile(target, text);
}
console.log(`viewer.js: ${text.length} bytes`);
