"""Steps of a Pipeline that are themselves searched: the estimator as trials have it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline

from sksearch.resources.laststep import growing_part

PASSES_WITHIN = "estimator__partial_fit"
"""Of the model that grows and, as scikit-learn's meta-estimators name it, the one within: either may be searched."""

Categories = Mapping[str, Collection[Any]]
"""A branch of the search space: its parameters, and the values of those that have no order."""


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
    return any(is_classifier(variant.estimator) for variant in variants_of(estimator, of_last, branches))


def last_is_searched(estimator: Any, names: Collection[str]) -> bool:
    """Whether one of the searched parameters `names` puts another model in the place of what grows."""
    prefix, _ = growing_part(estimator)
    return any(f"{prefix}partial_fit".startswith(_replaced(estimator, name)) for name in names)


def _replaced(estimator: Any, name: str) -> str:
    """What the parameters begin with that the value of `name` has: a step, or all steps of a Pipeline."""
    return name.removesuffix("steps") if _is_all_steps(estimator, name) else f"{name}__"


def _is_all_steps(estimator: Any, name: str) -> bool:
    if name != "steps" and not name.endswith("__steps"):
        return False
    owner = name.removesuffix("steps").removesuffix("__")
    return isinstance(estimator.get_params().get(owner) if owner else estimator, Pipeline)


def _check_value(estimator: Any, name: str, value: Any) -> None:
    """Refuse what is certainly no step, or no steps."""
    if _is_all_steps(estimator, name):
        pairs = [one for one in value if isinstance(one, tuple) and len(one) == 2] if isinstance(value, list) else []
        if not pairs or len(pairs) < len(value):
            raise ValueError(f"{name}={value!r} is no list of (name, estimator) pairs, as the steps of a Pipeline are.")
        for part, step in pairs:
            _check_value(estimator, f"{name}: {part}", step)
    elif isinstance(value, type) and hasattr(value, "fit"):
        raise TypeError(f"{name}={value!r} is a class; search objects of it: {value.__name__}(...).")


def variants_of(estimator: Any, name: str, branches: Iterable[Categories]) -> Iterator[Variant]:
    """With every value of the searched steps that `name` is a parameter of."""
    for branch in branches:
        replaced = {step: _replaced(estimator, step) for step in branch}
        steps = [step for step in branch if branch[step] and name.startswith(replaced[step])]
        steps.sort(key=lambda step: len(replaced[step]))
        for values in product(*(branch[step] for step in steps)):
            variant, placed = clone(estimator) if steps else estimator, dict(zip(steps, values, strict=True))
            for step, value in placed.items():
                _check_value(estimator, step, value)
            try:
                for step, value in placed.items():
                    variant.set_params(**{step: clone(value, safe=False)})
            except (AttributeError, TypeError, ValueError):  # a step within a step that this one has not
                continue
            yield Variant(variant, branch, placed)
