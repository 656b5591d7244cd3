"""The whole comparison by one command: an environment for each peer, their runs, ours, the report.

    python docs/benchmarks/regret/compare.py [--methods optuna-gp ...] [--seeds 10] [--environments DIR]

Needs a package index. A cell that the records have is not run again, so with the records of this folder only ours and
what is missing is run. A peer that cannot be installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
# what pip is told, call by call; HEBO 0.3.6 pins versions that exist no more
INSTALL: dict[str, list[list[str]]] = {
    "random": [],
    "sksearch": [],
    "optuna-tpe": [["optuna"]],
    "optuna-gp": [["torch"], ["optuna", "scipy"]],
    "smac": [["smac"]],
    "scikit-optimize": [["scikit-optimize"]],
    "hebo": [
        ["torch"],
        ["gpytorch", "pymoo==0.6.1.5", "disjoint-set", "catboost", "pandas"],
        ["--no-deps", "HEBO==0.3.6"],
    ],
}
# these cost a second a suggestion: fewer cells, of the same tasks and the first seeds
SLOW = {"scikit-optimize": (3, 50), "smac": (3, 50), "hebo": (3, 50)}


def environment(method: str, folder: Path) -> Path:
    """The interpreter that has the method and this project."""
    home = folder / method
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(home, with_pip=True)
    for packages in [*INSTALL[method], ["--editable", str(PROJECT)]]:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)  # noqa: S603
    return python


def main() -> None:
    """Install, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=list(INSTALL), default=list(INSTALL))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--environments", type=Path, default=Path("regret-environments"))
    options = parser.parse_args()
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    for method in options.methods:
        try:
            python = environment(method, options.environments.resolve())
        except subprocess.CalledProcessError as error:
            print(f"{method} could not be installed, its line stays as it is: {error}")
            continue
        seeds, trials = SLOW.get(method, (options.seeds, options.trials))
        command = [str(python), str(HERE / "run.py"), method, "--seeds", str(min(seeds, options.seeds))]
        command += ["--trials", str(min(trials, options.trials)), "--jobs", str(options.jobs)]
        subprocess.run(command, env=quiet, check=True)  # noqa: S603 - our own script
    subprocess.run([sys.executable, str(HERE / "report.py")], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
