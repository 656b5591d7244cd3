"""Steps of a Pipeline that are themselves searched: the estimator as trials have it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from sklearn.base import clone, is_classifier

from sksearch.resources.laststep import growing_part

PASSES_WITHIN = "estimator__partial_fit"
"""Of the model that grows and, as scikit-learn's meta-estimators name it, the one within: either may be searched."""

Categories = Mapping[str, Collection[Any]]
"""Values of those parameters of a branch of the search space that have no order."""


class Variant(NamedTuple):
    """The estimator as trials of a branch have it, as far as that decides what one of its parameters is."""

    estimator: Any
    branch: Categories
    placed: Mapping[str, Any]
    """Searched steps, and what was put there."""

    def __str__(self) -> str:
        values = {
            step: repr(value) if isinstance(value, str) else type(value).__name__ for step, value in self.placed.items()
        }
        return ", ".join(f"{step}={value}" for step, value in values.items())


def grows_classifier(estimator: Any, branches: Iterable[Categories]) -> bool:
    """Whether what grows is a classifier, in some trials at least."""
    of_last = f"{growing_part(estimator)[0]}{PASSES_WITHIN}"
    return True in {is_classifier(variant.estimator) for variant in variants_of(estimator, of_last, branches)}


def last_is_searched(estimator: Any, names: Collection[str]) -> bool:
    """Whether one of the searched parameters `names` puts another model in the place of what grows."""
    prefix, _ = growing_part(estimator)
    return any(_replaces(name, f"{prefix}partial_fit") for name in names)


def _replaces(name: str, parameter: str) -> bool:
    """Whether the value of `name` is what `parameter` is a parameter of: a step, or all of the steps."""
    owner = _owner(name)
    return parameter.startswith(f"{name}__") or (owner != name and parameter.startswith(owner))


def _owner(name: str) -> str:
    """Of all steps of a Pipeline the prefix of its parameters; of anything else its name."""
    return name.removesuffix("steps") if name == "steps" or name.endswith("__steps") else name


def variants_of(estimator: Any, name: str, branches: Iterable[Categories]) -> Iterator[Variant]:
    """With every value of the searched steps that `name` is a parameter of."""
    for branch in branches:
        steps = sorted((step for step in branch if _replaces(step, name)), key=lambda step: len(_owner(step)))
        for values in product(*(branch[step] for step in steps)):
            variant, placed = clone(estimator) if steps else estimator, dict(zip(steps, values, strict=True))
            for step, value in placed.items():
                if isinstance(value, type) and hasattr(value, "fit"):
                    raise TypeError(f"{step}={value!r} is a class; search objects of it: {value.__name__}(...).")
            try:
                for step, value in placed.items():
                    variant.set_params(**{step: clone(value, safe=False)})
            except (AttributeError, TypeError, ValueError):  # a step within a step that this one has not
                continue
            yield Variant(variant, branch, placed)
