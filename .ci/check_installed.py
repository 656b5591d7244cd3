"""What an installed wheel holds: the files, the metadata, and a search that runs."""

from __future__ import annotations

import importlib.metadata
from pathlib import PurePosixPath

from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import sksearch

distribution = importlib.metadata.distribution("sksearch")
files = {PurePosixPath(file.as_posix()) for file in distribution.files or ()}
top_level = {file.parts[0] for file in files}
runtime = [requirement for requirement in distribution.requires or () if "extra ==" not in requirement]
metadata = distribution.metadata

checks = {
    "the package and its metadata, nothing else": top_level
    == {"sksearch", f"sksearch-{distribution.version}.dist-info"},
    "py.typed": PurePosixPath("sksearch/py.typed") in files,
    "the licence": any(file.name == "LICENSE" for file in files),
    "one version": distribution.version == sksearch.__version__,
    "Python 3.11 or later": metadata["Requires-Python"] == ">=3.11",
    "four runtime dependencies": len(runtime) == 4,
    "a description": "sksearch" in (metadata.get_payload() or metadata["Description"]),
}
X, y = load_iris(return_X_y=True)
search = sksearch.GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}).fit(X, y)
checks["a search"] = search.best_params_ == {"max_depth": 3}

for name, passed in checks.items():
    print(f"{'ok' if passed else 'WRONG'}: {name}")
raise SystemExit(not all(checks.values()))
