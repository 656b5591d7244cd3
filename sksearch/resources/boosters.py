"""Rounds of LightGBM, XGBoost and CatBoost, which go on from a fitted model that is given to `fit`.

None of these libraries is imported here: the modules of its classes say whose a model is.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sklearn.utils.fixes import parse_version

from sksearch.resources.laststep import enter, fit, growing_part, grows_by_itself
from sksearch.resources.overrides import definer_of, is_own
from sksearch.resources.protocol import Fold, Rows, Seed
from sksearch.resources.warmstarts import WarmStart

Params: TypeAlias = Mapping[str, Any]

_ANEW = {
    *("eval_set", "eval_X", "callbacks"),  # early stopping, the best of all rounds, schedules: they look back
    "init_score",  # LightGBM: what the model to go on from predicts takes its place
    *("baseline", "text_features", "embedding_features"),  # CatBoost refuses to go on
    "cat_features",  # CatBoost may wait for itself forever: its issue 2784, seen with 1.2.10
}
"""Parameters of `fit`, or of the model, with which it is fitted anew."""


_CATBOOST_ANEW = (
    *("model_shrink_rate", "langevin", "posterior_sampling", "boost_from_average", "eval_fraction"),
    *("first_feature_use_penalties", "per_object_feature_penalties"),
)


def _lightgbm_continues(params: Params) -> bool:
    """Not DART, which rescales earlier trees, nor a forest, which refuses; GOSS starts each fit with all rows.

    Nor where a feature costs something at its first use only: each fit would charge it again.
    """
    kinds = {params.get(name) for name in ("boosting_type", "boosting", "boost", "data_sample_strategy")}
    first_use = any(params.get(f"cegb_penalty_feature_{name}") is not None for name in ("coupled", "lazy"))
    return not kinds & {"dart", "rf", "random_forest", "goss"} and not first_use


def _xgboost_draws_by_round() -> bool:
    """Whether the draws of a round depend on nothing but the seed and its number: since 3.3, for Python 3.12 up."""
    return bool(parse_version(sys.modules["xgboost"].__version__) >= parse_version("3.3"))


def _xgboost_continues(params: Params) -> bool:
    """Not DART, which drops trees at random in every round and scales them anew, where draws start again.

    Nor a ranker that learns how positions mislead, as the model to go on from does not tell it; nor linear models,
    which 3.2 asks for the categories of a frame that they do not have.
    """
    scales = params.get("booster") == "dart" and not _xgboost_draws_by_round()
    return not scales and params.get("booster") != "gblinear" and not params.get("lambdarank_unbiased")


def _catboost_continues(params: Params) -> bool:
    """Only a learning rate that is set, as CatBoost derives it from the number of rounds else.

    Ordered boosting keeps a row's own target out of its residual, which the model to go on from knows;
    shrinking earlier trees is refused, or left out with a warning; graphics cards do not go on. A start
    from the average that is asked for is refused as well; predicted variances go on to nonsense. Rows
    held out stop the rounds early; what a feature costs at its first use would be charged again.
    """
    learns_at = [params.get(name) for name in ("learning_rate", "eta")]
    values = [params.get(name) for name in _CATBOOST_ANEW]
    otherwise = any(value.any() if isinstance(value, np.ndarray) else value for value in values)
    plain = params.get("boosting_type") != "Ordered" and params.get("task_type") != "GPU"
    loss = params.get("loss_function") or params.get("objective")
    certain = not (isinstance(loss, str) and loss.startswith("RMSEWithUncertainty"))
    return any(rate is not None for rate in learns_at) and plain and certain and not otherwise


@dataclass(frozen=True, slots=True)
class Library:
    """What a library calls things, and with which parameters going on is the same as one longer fit."""

    argument: str
    """The argument of `fit` for the model to go on from."""
    rounds: tuple[str, ...]
    """Names of the number of rounds, the usual one first."""
    default: int
    """Rounds of a model that sets none of these."""
    seeds: tuple[str, ...]
    """Names of the seed, the usual one first."""
    continues: Callable[[Params], bool]
    draws_by_round: Callable[[], bool] = lambda: False
    """Whether going on with the same seed draws what one longer fit would; else the draws start again."""
    part_seeds: tuple[str, ...] = ()
    """Names of seeds of single draws, which the seed sets where they are not given."""
    locks_params: bool = False
    """Whether a fitted model refuses `set_params`; its parameters are part of its pickle's state then."""
    settles: tuple[str, ...] = ()
    """Parameters that a model may set by itself, as its `get_all_params` tells after a fit."""


LIBRARIES = {
    "lightgbm": Library(
        "init_model",
        (
            *("n_estimators", "num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees"),
            *("num_round", "num_rounds", "nrounds", "num_boost_round", "max_iter"),
        ),
        100,
        ("random_state", "random_seed", "seed"),
        _lightgbm_continues,
        part_seeds=("bagging_seed", "bagging_fraction_seed", "feature_fraction_seed", "extra_seed", "objective_seed"),
    ),
    "xgboost": Library(
        "xgb_model",
        ("n_estimators",),
        100,
        ("random_state", "seed"),
        _xgboost_continues,
        draws_by_round=_xgboost_draws_by_round,
    ),
    "catboost": Library(
        "init_model",
        ("iterations", "n_estimators", "num_boost_round", "num_trees"),
        1000,
        ("random_seed", "random_state"),
        _catboost_continues,
        locks_params=True,
        settles=("model_shrink_rate",),  # with monotone constraints, or Langevin's diffusion
    ),
}


def library_of(model: Any) -> Library | None:
    """The library whose booster `model` is; the rounds of an XGBRF model are one, whatever its `n_estimators`."""
    for cls in type(model).__mro__:
        library = LIBRARIES.get(cls.__module__.partition(".")[0])
        if library is not None:
            return None if cls.__name__.startswith("XGBRF") else library
    return None


def takes_start(model: Any, library: Library) -> bool:
    """Whether its `fit` may be given a model to go on from.

    A `fit` of a user's subclass may hand on early stopping, say, which looks back; one that names the argument knows
    what it does.
    """
    owner = definer_of("fit", model)
    is_users = owner is not None and is_own("fit", model, LIBRARIES)
    try:
        method = vars(owner)["fit"] if is_users else model.fit
        accepted = inspect.signature(method, follow_wrapped=not is_users).parameters
    except (TypeError, ValueError):  # no function, but what gives one
        return False
    anything = any(one.kind is one.VAR_KEYWORD for one in accepted.values())
    return library.argument in accepted or (anything and not is_users)


def rounds_parameter(model: Any, library: Library, asked_for: str = "") -> str:
    """The name by which this model is told its number of rounds: one only may be set.

    An alias that the model sets wins, as in LightGBM; then the usual name if the model has it; then
    the alias that was asked for.
    """
    params = model.get_params()
    usual, *aliases = library.rounds
    default = usual if usual in params or asked_for not in aliases else asked_for
    return next((alias for alias in aliases if params.get(alias) is not None), default)


@dataclass(frozen=True, slots=True)
class Boosting:
    """Boosting rounds of LightGBM, XGBoost or CatBoost.

    Notes
    -----
    Measured with LightGBM 4.7, XGBoost 3.2 to 3.4 and CatBoost 1.2.10: rounds made in parts equal rounds
    made at once bit for bit, to rounding in CatBoost and in linear trees, as long as nothing is drawn at
    random. Where rows, columns or thresholds are, XGBoost since 3.3 draws by the number of the round, and
    the same holds (but for rows with `tree_method="approx"`). Elsewhere every call of `fit` draws from the
    start again (XGBoost before 3.3: goes on from whatever its thread drew last). The seed is moved on by
    the rounds made so far then, lest the same be drawn again, and the model is another one, drawn alike.
    (LightGBM bins by a sample of 200 000 rows, which the seed draws as well.) The model is fitted anew
    where going on would mean something else, or is not possible: see `Library.continues` and `_ANEW`.
    """

    resource: str
    max_resources: int
    """No model goes on after so many rounds."""
    resumes: bool = True

    def fit(self, estimator: Any, fold: Fold, *, n_resources: int, trained: int) -> Any:
        """Make rounds `trained` to `n_resources` - 1."""
        library = library_of(growing_part(estimator)[1])
        if library is None or not grows_by_itself(
            estimator, self.resource
        ):  # a searched step: this trial has another model
            other = WarmStart(resource=self.resource, max_resources=self.max_resources)
            return other.fit(estimator, fold, n_resources=n_resources, trained=trained)
        name = self.resource.rpartition("__")[2]
        pause = n_resources < self.max_resources
        model, caught = enter(estimator, fold, trained=trained, pause=pause)
        size = {name: n_resources}
        if trained and _continues(library, model, caught):
            _go_on(library, model, caught, size, trained)
        elif trained and library.locks_params:
            # Not in place: a CatBoost model read back and fitted again may hang at predict (its issue 2905).
            again = fit(_unfitted(model).set_params(**size), caught)
            vars(model).clear()
            vars(model).update(vars(again))
        else:
            _fit_anew(_set(model, size), caught, pause=pause)
        return estimator

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:  # noqa: ARG002
        """All rows."""
        return train


def _continues(library: Library, model: Any, fold: Fold) -> bool:
    params = model.get_params()
    given = {name for name, value in {**params, **fold.fit_params}.items() if value is not None}
    if library.settles:
        settled = model.get_all_params()
        params = {**{name: settled.get(name) for name in library.settles}, **params}
    return library.continues(params) and not given & _ANEW and takes_start(model, library)


def _unfitted(model: Any) -> Any:
    """A CatBoost model with the same parameters, by its own rules: `clone` refuses values that it copies, as lists."""
    return type(model)().set_params(**model.get_params())


def _set(model: Any, params: Params) -> Any:
    """As an unfitted model sets them: XGBoost's tells a fitted booster all it has, lists and dicts as words."""
    booster = vars(model).pop("_Booster", None)
    model.set_params(**params)
    if booster is not None:
        vars(model)["_Booster"] = booster
    return model


def _fit_anew(model: Any, fold: Fold, *, pause: bool) -> None:
    """With callbacks as they were, as XGBoost's remember what they saw of an earlier fit: early stopping its best."""
    given = model.get_params().get("callbacks")
    unused = deepcopy(given) if pause else None
    fit(model, fold)
    if unused is not None:
        _set(model, {"callbacks": unused})


def _go_on(library: Library, model: Any, fold: Fold, size: dict[str, int], trained: int) -> None:
    """Add rounds to `model` until it has `size`; its other parameters stay what they were."""
    more = {name: n_rounds - trained for name, n_rounds in size.items()}
    if not library.draws_by_round():
        more |= _next_seed(library, model.get_params(), trained)
    fit_params = {**fold.fit_params, library.argument: model}
    if library.locks_params:
        # CatBoost goes on differently from a model just trained than from its copy or one read back from a file.
        fit_params[library.argument] = copy(model)
        longer = fit(_unfitted(model).set_params(**more), fold._replace(fit_params=fit_params))
        learnt = {name: value for name, value in longer.__getstate__().items() if name not in longer.get_params()}
        model.__setstate__({**learnt, **size})
    else:
        before = {name: model.get_params().get(name) for name in more}
        fit(_set(model, more), fold._replace(fit_params=fit_params))
        _set(model, {**before, **size})


def _next_seed(library: Library, params: Params, trained: int) -> dict[str, int]:
    """Another seed for each part; a RandomState goes on by itself."""
    usual, *aliases = library.seeds
    name = next((alias for alias in aliases if params.get(alias) is not None), usual)
    value = params.get(name)
    seeds = {name: 0 if value is None else value, **{part: params.get(part) for part in library.part_seeds}}
    return {name: int(seed) + trained for name, seed in seeds.items() if isinstance(seed, (int, np.integer))}
