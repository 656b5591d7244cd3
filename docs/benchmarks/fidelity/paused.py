"""Disk and memory of paused models: what `HyperbandSearchCV` keeps while it runs.

    python docs/benchmarks/fidelity/paused.py [--n-jobs 2] [--trees 81] [--rows 1797]

Random forests on digits, grown by `n_estimators`, 5 folds; and passes of a linear model over what PCA makes of a fold,
which is kept with the model. The temporary folder is looked at every 20 ms; "all models" is what would be there if none
was dropped before the end, and nothing was shared: the files ever written, at their largest. Memory is the largest
resident set of the main process and of any worker, each started anew.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from joblib.externals.loky import get_reusable_executor
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

from sksearch import HyperbandSearchCV, RandomizedSearchCV

SPACE = {
    "max_features": [0.05, 0.1, 0.2, 0.4, 0.8],
    "min_samples_leaf": list(range(1, 31)),
    "max_samples": [0.3, 0.5, 0.7],
}


RANDOM = "RandomizedSearchCV"
PIPELINE = "async, after PCA"


class Watch(threading.Thread):
    """Notes the files of paused models, how many there are at once and how large they are."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder, self._over = folder, threading.Event()
        self.most = self.most_bytes = 0
        self.ever: dict[str, int] = {}

    def run(self) -> None:
        """See Thread."""
        while not self._over.wait(0.02):
            files = {}
            for path in self._folder.rglob("trial-*"):
                try:
                    files[path.name] = path.stat()
                except FileNotFoundError:
                    continue
            for name, file in files.items():
                self.ever[name] = max(file.st_size, self.ever.get(name, 0))
            self.most = max(self.most, sum(name.endswith(".pkl") for name in files))
            self.most_bytes = max(self.most_bytes, sum({file.st_ino: file.st_size for file in files.values()}.values()))

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self.join()


def one(schedule: str, n_jobs: int, n_trees: int, n_rows: int) -> None:
    """Run one search in this process, print its row."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:n_rows], y[:n_rows]
    forest = RandomForestClassifier(n_estimators=n_trees, random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        watch = Watch(Path(folder))
        watch.start()
        if schedule == RANDOM:
            search = RandomizedSearchCV(forest, SPACE, n_iter=15, n_jobs=n_jobs, random_state=0).fit(X, y)
        elif schedule == PIPELINE:
            pipeline = make_pipeline(PCA(60, svd_solver="full"), SGDClassifier(random_state=0))
            alphas = {"sgdclassifier__alpha": loguniform(1e-6, 10)}
            search = HyperbandSearchCV(pipeline, alphas, prune_folds=False, n_jobs=n_jobs, random_state=0).fit(X, y)
        else:
            search = HyperbandSearchCV(
                forest,
                SPACE,
                resource="n_estimators",
                min_resources=1,
                schedule=schedule,
                prune_folds=False,
                n_jobs=n_jobs,
                random_state=0,
            ).fit(X, y)
        watch.stop()
        left = sum(1 for _ in Path(folder).rglob("trial-*"))
    get_reusable_executor().shutdown(wait=True)  # only of children that have ended is the memory known
    megabytes = [watch.most_bytes / 1e6, sum(watch.ever.values()) / 1e6]
    memory = [resource.getrusage(who).ru_maxrss / 1e3 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    n_models = sum(name.endswith(".pkl") for name in watch.ever)
    numbers = [len(search.cv_results_["params"]), n_models, watch.most, *megabytes, left, *memory]
    print(f"| {schedule} | " + " | ".join(f"{number:.0f}" for number in numbers) + " |", flush=True)


def main() -> None:
    """Each search in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--trees", type=int, default=81)
    parser.add_argument("--rows", type=int, default=1797)
    parser.add_argument("--schedule", help="one search only, in this process")
    options = parser.parse_args()
    if options.schedule:
        one(options.schedule, options.n_jobs, options.trees, options.rows)
        return
    print(
        "| search | trials | models paused, ever | at once | MB at once | MB, all models | left behind"
        " | MB memory, main process | a worker |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for schedule in ("async", "hyperband", PIPELINE, RANDOM):
        command = [sys.executable, __file__, "--schedule", schedule]
        command += ["--n-jobs", str(options.n_jobs), "--trees", str(options.trees), "--rows", str(options.rows)]
        subprocess.run(command, check=True)  # noqa: S603 - this very script


if __name__ == "__main__":
    main()
