"""Settings for every test: how Hypothesis draws, and what keeps runs equal on every machine."""

from __future__ import annotations

import os

import hypothesis

# Importing this plugin puts our classes in scikit-learn's place; the collection of doctests would import it here.
collect_ignore = ["substitute_searches.py"]

# The suite runs searches in worker processes; a thread pool in each of them would only fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Derandomised: a failure on one machine is a failure on all. No deadline: a first call may import a library.
hypothesis.settings.register_profile("sksearch", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("sksearch")
