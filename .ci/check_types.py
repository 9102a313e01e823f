"""How much of what the installed package shows has a type: `pyright --verifytypes`.

Usage: check_types.py [SHARE]. Prints what has none, and exits with 1 below SHARE, by default 0.98.
"""

import json
import os
import subprocess
import sys
import sysconfig

COMMAND = [sys.executable, "-m", "pyright", "--verifytypes", "micrograd_fast", "--ignoreexternal"]
COMMAND += ["--outputjson"]


def main(wanted: float) -> int:
    # For this it asks the first python on the PATH, whatever --pythonpath says. Its exit code is 1
    # for everything below 1.
    env = {**os.environ, "PYTHONPATH": sysconfig.get_paths()["purelib"]}
    done = subprocess.run(COMMAND, env=env, capture_output=True, text=True)
    found = json.loads(done.stdout)["typeCompleteness"]
    for symbol in found["symbols"]:
        if symbol["isExported"] and not (symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]):
            why = [d["message"].splitlines()[0] for d in symbol["diagnostics"]]
            print(f"{symbol['name']}: {why[0] if why else 'a part of it has none'}")
    share = found["completenessScore"]
    print(f"{share:.1%} of {len(found['symbols'])} names have a type")
    return 0 if share >= wanted else 1


if __name__ == "__main__":
    sys.exit(main(float((sys.argv[1:] or ["0.98"])[0])))
