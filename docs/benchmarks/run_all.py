"""All benchmarks, one after the other, each in a process of its own: about twenty minutes on two cores.

    python docs/benchmarks/run_all.py [--quick]

`--quick` runs each with little work, to see that it runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

QUICK = {
    "overhead.py": ["--pairs", "2", "--candidates", "20"],
    "utilisation.py": ["--repeats", "1", "--n-iter", "8", "--mean", "0.01"],
    "regret.py": ["--seeds", "1", "--trials", "10", "--tasks", "branin", "hartmann6"],
}


def main() -> None:
    """Run them; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    for name, options in QUICK.items():
        print(f"\n--- {name}", flush=True)
        command = [sys.executable, str(Path(__file__).with_name(name)), *(options if quick else [])]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, env=environment, check=True)  # noqa: S603 - our own scripts


if __name__ == "__main__":
    main()
