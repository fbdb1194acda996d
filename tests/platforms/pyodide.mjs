// Runs `tests.platforms.report` under CPython on WebAssembly and prints what it prints.
//
//   node pyodide.mjs CHECKOUT PACKAGES [argument of the report]...
//
// CHECKOUT is the folder of the package and its tests, PACKAGES one of unpacked wheels for this platform.
import { Worker, isMainThread } from "node:worker_threads";
import { loadPyodide } from "pyodide";

if (isMainThread) {
  // In a worker of its own, because only that can be given a stack large enough for Python's own check of the depth
  // of recursion to come before the end of the stack.
  const worker = new Worker(new URL(import.meta.url), {
    argv: process.argv.slice(2),
    resourceLimits: { stackSizeMb: 64 },
  });
  worker.on("error", (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
} else {
  const [checkout, packages, ...options] = process.argv.slice(2);
  const python = await loadPyodide({ env: { PYTHONHASHSEED: "random", PYTHONDONTWRITEBYTECODE: "1" } });
  for (const [path, root] of [["/checkout", checkout], ["/packages", packages]]) {
    python.FS.mkdirTree(path);
    python.FS.mount(python.FS.filesystems.NODEFS, { root }, path);
  }
  python.globals.set("options", python.toPy(options));
  const report = python.runPython(`
    import json, sys
    sys.path[:0] = ["/checkout", "/packages"]
    from tests.platforms.report import report
    json.dumps(report(options))
  `);
  console.log(report);
}
