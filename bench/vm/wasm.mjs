// Runs stages in MicroPython's 32-bit WebAssembly VM and prints live bytes between top-level calls:
// node wasm.mjs MICROPYTHON.MJS '{"files": {name below /lib: local file}, "stages": [[call, name], ...]}'
import fs from "node:fs";

const [module, task] = process.argv.slice(2);
const { loadMicroPython } = await import(module);
const { files, stages } = JSON.parse(task);
const vm = await loadMicroPython({ heapsize: 4 * 1024 * 1024, stdout: (line) => console.log(line), linebuffer: true });

function folder(path) {
  if (path && !vm.FS.analyzePath(path).exists) {
    folder(path.slice(0, path.lastIndexOf("/")));
    vm.FS.mkdir(path);
  }
}

for (const [name, local] of Object.entries(files)) {
  const target = "/lib/" + name;
  folder(target.slice(0, target.lastIndexOf("/")));
  vm.FS.writeFile(target, fs.readFileSync(local));
}
vm.runPython("import sys\nif '/lib' not in sys.path: sys.path.append('/lib')");
for (const [call, name] of stages) {
  vm.runPython(call);
  vm.runPython("import gc\ngc.collect()");
  vm.runPython("gc.collect()");
  vm.runPython(`print(${JSON.stringify(name)}, gc.mem_alloc())`);
}
