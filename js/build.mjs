// Bundles each widget into one module and one style sheet beside the Python class that shows it.
//
// One file each, because anywidget evaluates the text of the module from a Blob URL, where a relative import cannot
// resolve.
import * as esbuild from "esbuild";

/** @type {esbuild.BuildOptions} */
const options = {
  absWorkingDir: import.meta.dirname,
  entryPoints: ["badge.tsx", "badge.css", "panel.tsx", "panel.css", "textArea.ts", "textArea.css"].map(
    (name) => `src/${name}`,
  ),
  outdir: "../msq_jupyter/widgets/static",
  bundle: true,
  splitting: false,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  logLevel: "info",
};

if (process.argv.includes("--watch")) {
  const context = await esbuild.context(options);
  await context.watch();
} else {
  await esbuild.build(options);
}
