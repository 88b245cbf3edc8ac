"""flash_main.py TREE MODULE CASE ARGUMENTS: run one case with the firmware in TREE; arguments and result are
JSON."""

import json
import sys

sys.path.insert(1, sys.argv[1])
case = getattr(__import__(sys.argv[2]), sys.argv[3])
print(json.dumps(case(**json.loads(sys.argv[4]))))
