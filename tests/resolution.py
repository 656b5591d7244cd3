"""How the tests of the resources ask for one: what is not the matter of a test has a default here."""

from __future__ import annotations

from sksearch.resources import resolve_resource


def resolve(estimator, resource="auto", *, searched_names=(), branches=({},), **changes):
    """The resource of a classifier for three classes: 1000 training rows and five folds, unless told otherwise.

    `searched_names` are in all branches.
    """
    arguments = {
        "min_resources": "auto",
        "max_resources": "auto",
        "factor": 3,
        "n_rows": 1000,
        "n_splits": 5,
        "n_classes": 3,
    }
    arguments["branches"] = [{**dict.fromkeys(searched_names, ()), **branch} for branch in branches]
    return resolve_resource(estimator, resource, **{**arguments, **changes})
