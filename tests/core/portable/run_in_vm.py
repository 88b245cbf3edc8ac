"""Run one portable test file: run_in_vm.py FLOATS(double|single) MODULE PATH..., the paths first on sys.path.

Prints `PASS name` or `FAIL name` (its traceback follows) for every test, and `RAN count` at the end.
"""

import gc
import sys

floats, module_name = sys.argv[1:3]
sys.path[:0] = sys.argv[3:]

from hedgerow.codec import cbor  # noqa: E402  (the path comes first)

if floats == "single":
    cbor.single_floats = True

module = __import__(module_name)
names = sorted(name for name in dir(module) if name.startswith("test_"))
for name in names:
    gc.collect()
    try:
        getattr(module, name)()
    except Exception as error:
        print("FAIL", name)
        if hasattr(sys, "print_exception"):
            sys.print_exception(error, sys.stdout)
        else:
            import traceback

            traceback.print_exception(error, file=sys.stdout)
    else:
        print("PASS", name)
print("RAN", len(names))
