"""The tests that the installed scikit-learn ships for its searches, run with ours in their place.

Nothing is copied, so each new release of scikit-learn is checked the day it is installed. Each
module runs in a process of its own, with `substitute_searches` as a plugin.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn.model_selection

MODULES = {
    "sklearn.model_selection.tests.test_search": 100,
    "sklearn.tests.test_metaestimators": 5,
    "sklearn.tests.test_metaestimators_metadata_routing": 14,
}
"""Module, and how many of its tests must have passed for the run to mean anything."""

HERE = Path(__file__).parent


def run_with_ours(module: str) -> subprocess.CompletedProcess[str]:
    """Run one test module of scikit-learn."""
    paths = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-m", "pytest", "-p", "substitute_searches", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "-q", "--tb=short", "--disable-warnings", "-c", os.devnull, "--pyargs", module],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        cwd=Path(sklearn.model_selection.__file__).parent,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.parametrize("module", MODULES)
def test_scikit_learns_own_tests_pass_with_our_searches(module: str) -> None:
    done = run_with_ours(module)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= MODULES[module], done.stdout[-500:]
