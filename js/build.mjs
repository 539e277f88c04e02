// Bundles the entry points below into the Python package: node build.mjs [--check]
import { build, transform } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

// bundle -> its entry point, the most bytes it may have, and what it is, where it is no module
const BUNDLES = {
  "viewer.js": ["src/main.ts", 180_000],
  "live.js": ["src/live/main.ts", 40_000],
  "still.js": ["src/still.ts", 100_000],
  "broker.js": ["src/outputs/broker.ts", 2_500, "iife"],
  "frame.js": ["src/outputs/frame.ts", 2_500],
};
const style = {
  name: "style as a text",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code, loader: "text" };
    }),
};
for (const [name, [entry, limit, format = "esm"]] of Object.entries(BUNDLES)) {
  const target = fileURLToPath(new URL(`../src/modscope/viewer/static/${name}`, import.meta.url));
  const result = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    minify: true,
    format,
    target: "es2022",
    charset: "ascii",
    legalComments: "none",
    plugins: [style],
    write: false,
  });
  const text = result.outputFiles[0].text;
  const fail = (why) => {
    console.error(`${name}: ${why}`);
    process.exit(1);
  };
  if (text.length > limit) fail(`${text.length} bytes, at most ${limit} are allowed`);
  if (/https?:\/\//.test(text)) fail("holds an address");
  if (process.argv.includes("--check")) {
    if ((await readFile(target, "utf8")) !== text) fail("differs from its sources: run `npm run build` in js/");
  } else {
    await writeFile(target, text);
  }
  console.log(`${name}: ${text.length} bytes`);
}
