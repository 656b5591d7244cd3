"""All benchmarks that need no peer, one after the other, each in a process of its own: about four hours on two cores.

    python docs/benchmarks/run_all.py [--quick]

`--quick` runs each with little work, to see that it runs; its figures mean nothing. The comparison with the peers has a
command of its own, `regret/compare.py`: it makes an environment for each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RECORDS = Path(tempfile.gettempdir()) / "sksearch-benchmarks"
COSTS = RECORDS / "fidelity"
NO_PEERS = ["bayes", "hyperband", "random", "halving"]
FEW_COSTS = ["--seeds", "1", "--tasks", "boosting", "--methods", "bayes", "random"]
FEW = ["--seeds", "1", "--tasks", "branin", "hartmann6"]
# script, what it is always given, what makes it quick
SCRIPTS = [
    ("overhead.py", [], ["--pairs", "2", "--candidates", "20"]),
    ("utilisation.py", [], ["--repeats", "1", "--n-iter", "8", "--mean", "0.01"]),
    ("regret/run.py", ["sksearch"], ["--trials", "10", *FEW, "--records", str(RECORDS)]),
    ("regret/report.py", [], []),
    ("regret/cost.py", [], ["--trials", "20", "--tasks", "branin"]),
    ("regret/parallel.py", [], ["--trials", "16", *FEW]),
    ("fidelity/paused.py", [], ["--trees", "9", "--rows", "300"]),
    (
        "fidelity/simulate.py",
        ["--workers", "1", "4"],
        ["--seeds", "1", "--curves", "late", "--workers", "4", "--top", "1"],
    ),
    ("fidelity/emulate.py", [], ["--seeds", "1", "--curves", "20", "--tasks", "boosting"]),
    ("fidelity/told.py", [], ["--seeds", "1", "--curves", "20", "--tasks", "boosting"]),
    ("fidelity/cost.py", ["--methods", *NO_PEERS], [*FEW_COSTS, "--records", str(COSTS)]),
    ("fidelity/report.py", [], ["--records", str(COSTS)]),
    ("regret/pruning.py", [], ["--folds", "30", "--seeds", "1", "--tasks", "decision tree"]),
]


def main() -> None:
    """Run them; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    RECORDS.mkdir(exist_ok=True)
    for name, always, little in SCRIPTS:
        print(f"\n--- {name}", flush=True)
        command = [sys.executable, str(Path(__file__).parent / name), *always, *(little if quick else [])]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, env=environment, check=True)  # noqa: S603 - our own scripts


if __name__ == "__main__":
    main()
