"""Bayesian optimisation: the next trial is where a Gaussian process expects the largest improvement.

Notation: t trials asked, n of them observed, d columns of the space.
points (t, d) of the unit cube, nan where inactive · z (n,) warped scores (see `gp.transform`)
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from threadpoolctl import ThreadpoolController

from sksearch.folds import FoldModel, by_amount
from sksearch.gp.acquisition import LogExpectedImprovement, WhereFeasible
from sksearch.gp.features import Array, Indices, feature_groups
from sksearch.gp.maximize import Domain, best_of, keys, maximize, unseen
from sksearch.gp.regression import EXPECTED_NOISE, Design, GaussianProcess, fit
from sksearch.gp.sobol import uniform_points
from sksearch.gp.transform import HalfRankWarp
from sksearch.samplers.design import check_initial_params, complete, design_point, n_initial
from sksearch.samplers.points import EncodedTrials
from sksearch.samplers.quotas import Quotas
from sksearch.space import Space
from sksearch.trials import History, Outcome, Params

_ENUMERATED = 4096
"""Largest finite space of which every point is scored."""
_IMAGINED = 32
"""Functions drawn at the best and at the pending trials, a power of 2."""
_CONTENDERS = 16
"""Trials among which the best one is, by their scores."""
_MOST_IMAGINED = 16
"""Above this many pending trials their posterior mean stands for their values."""
_FEWEST_FAILURES, _SHARE_OF_FAILURES = 5, 0.1
"""From which number and which share on there is something to learn of where trials fail."""
_LABEL_NOISE = 0.1
_LEADERS = 5
_WARP_FROM = 20
"""Observations that may tell a warp from noise."""
_FIT_LIMIT = 300
"""Observations that the hyperparameters are fitted to, at most."""
_MODEL_LIMIT = 500
"""Observations that the posterior is conditioned on, at most."""


@dataclass(frozen=True, slots=True)
class _Model:
    process: GaussianProcess
    used: Indices
    """Numbers of the trials in its rows."""
    warp: HalfRankWarp
    z: Array
    """(n,) of all observed trials."""
    observed: _Observed


@dataclass(frozen=True, slots=True)
class _Observed:
    """What the history says of each trial with an outcome: the last one, whatever its resource."""

    numbers: Indices
    """(n,) numbers of the trials, increasing."""
    scores: Array
    """(n,) nan where failed."""
    deviations: Array
    """(n,) standard deviation of the score about the one of all folds: 0 but for pruned trials."""
    complete: NDArray[np.bool_]
    """(n,) whether the score is that of all folds."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> _Observed:
        by_number = {outcome.evaluation.trial.number: outcome for outcome in outcomes}
        last = [by_number[number] for number in sorted(by_number)]
        status = np.array([outcome.status for outcome in last])
        deviations = np.zeros(len(last))
        pruned = np.flatnonzero(status == "pruned")
        models = {amount: FoldModel.of(some) for amount, some in by_amount(outcomes).items()} if len(pruned) else {}
        for position in pruned:
            folds = models[last[position].evaluation.n_resources]
            if folds is not None:
                n_seen = int(np.isfinite(last[position].fold_scores).sum())
                deviations[position] = math.sqrt(folds.extra_variance(n_seen))
        return cls(
            np.array([outcome.evaluation.trial.number for outcome in last], dtype=np.intp),
            np.array([outcome.score if outcome.status != "failed" else np.nan for outcome in last], dtype=np.float64),
            deviations,
            status == "ok",
        )

    @property
    def key(self) -> bytes:
        """Equal for equal observations."""
        return self.numbers.tobytes() + self.scores.tobytes() + self.deviations.tobytes()


@dataclass(frozen=True, slots=True)
class _Data:
    """What hyperparameters are fitted to."""

    n_outcomes: int
    """Of which it is made: where another one changes nothing else, the fit starts from another one before."""
    observed: _Observed
    points: Array
    """(n, d) of the observed trials."""
    warp: HalfRankWarp
    noise: float
    """Variance of z to expect."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], points: Array) -> _Data | None:
        """None without a finite score on every fold."""
        observed = _Observed.of(outcomes)
        if not observed.complete.any():
            return None
        warp = HalfRankWarp.fit(observed.scores)
        return cls(len(outcomes), observed, points[observed.numbers], warp, _expected_noise(outcomes, warp))

    @property
    def key(self) -> bytes:
        """Equal for equal data."""
        numbers = np.array([self.n_outcomes, self.noise])
        return numbers.tobytes() + self.points.tobytes() + self.observed.key


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What is remembered from one refit to the next."""

    key: bytes
    """The outcomes it is made of."""
    observed: Indices
    """Numbers of the trials it knows."""
    used: Indices
    """Those in the rows of the design, in their order."""
    design: Design
    next_start: Array
    """Where the next refit starts, besides its default starts."""


@dataclass
class BayesSampler:
    """Suggest by log expected improvement under an exact Gaussian process.

    First `initial_params` in their order, then a scrambled Sobol sequence up to the number of
    initial points, then the model. It is trained on the last outcome of every trial, whatever its
    resource; a failed trial counts as worse than all others, and where many fail the probability of
    that is learned too; a pruned trial counts by its fold-adjusted mean, with the variance of the
    folds not seen. What the best trials are worth, and those without any outcome (pending), is
    averaged over. A finite space is never asked for the same parameters twice.

    A suggestion is a function of the space, the settings, the history and `rng`, so a resumed
    search continues as the uninterrupted one. The hyperparameters are those fitted to the first m
    outcomes, where m grows by a tenth at a time; each fit also starts from what the default starts
    found at the refit before. Between, the fit and the factor of the covariance matrix are
    remembered and later trials are appended; a sampler that has not seen the search before, or since
    the refit before, repeats two fits. Of more than 500 trials the model takes 500.

    Parameters
    ----------
    space : Space
    n_trials : int or None
        Budget, of which the initial points take at most half; None if unlimited.
    initial_params : sequence of dicts
        Tried first. A dict may leave names out: they are drawn at random.
    n_initial_points : int or "auto"
        Trials before the first suggestion of the model, `initial_params` included.
    n_workers : int
        Trials evaluated at once.
    quotas : sequence of ints or None
        Most trials from each branch of the space; None: no limits.

    Notes
    -----
    Matern-5/2 kernel with a lengthscale per column and Hamming distance for categories, fitted by
    maximum a posteriori (`gp.regression`), with noise that is expected to be what neither trial nor fold
    explains of the scores (`folds`); inputs warped where that explains more (`gp.warping`), scores by
    `gp.transform`; acquisition averaged over imagined values of the best and of the pending trials
    (`gp.acquisition`), maximised over the mixed space (`gp.maximize`).

    Examples
    --------
    >>> from sksearch.space import Real, Space
    >>> from sksearch.trials import Evaluation, Outcome, Trial
    >>> space = Space.parse({"x": Real(-1.0, 1.0)}, argument="search_spaces")
    >>> sampler, history = BayesSampler(space, n_trials=12), History()
    >>> for number in range(12):
    ...     rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(number,)))
    ...     evaluation = Evaluation(Trial(number, sampler.suggest(history, rng)))
    ...     history.asked(evaluation)
    ...     score = -((evaluation.trial.params["x"] - 0.3) ** 2)
    ...     history.told(Outcome(evaluation=evaluation, folds=(), score=score))
    >>> bool(max(outcome.score for outcome in history.outcomes) > -1e-3)
    True
    """

    space: Space
    n_trials: int | None
    initial_params: Sequence[Params] = ()
    n_initial_points: int | Literal["auto"] = "auto"
    n_workers: int = 1
    quotas: Sequence[int] | None = None
    _domain: Domain = field(init=False, repr=False, compare=False)
    _quotas: Quotas | None = field(init=False, repr=False, compare=False)
    _initial: list[Params] = field(init=False, repr=False, compare=False)
    _points: EncodedTrials = field(init=False, repr=False, compare=False)
    _fitted: _Fitted | None = field(init=False, repr=False, compare=False)
    _everything: Array | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.n_initial_points != "auto" and self.n_initial_points < 1:
            raise ValueError(f"n_initial_points must be at least 1 or 'auto', got {self.n_initial_points!r}.")
        self.space.require_model()
        self._domain = Domain(self.space.n_categories, self.space.level_units, self.space.snap)
        self._quotas = None if self.quotas is None else Quotas(self.space, self.quotas)
        self._initial = check_initial_params(self.space, self.initial_params)
        self._warpable = tuple(i for i, n in enumerate(self.space.n_categories) if n == 0)
        self._points, self._fitted, self._everything = EncodedTrials(self.space), None, None

    def suggest(self, history: History, rng: np.random.Generator) -> Params | None:
        """Parameters of the next trial; None when every point of a finite space, or every quota, was asked for."""
        points = self._points.of(history)
        number = len(points)
        quotas = self._quotas
        domain = self._domain if quotas is None else quotas.restrict(self._domain, points)
        if domain is None:
            return None
        fresh: Array | None = None
        if self.space.size <= _ENUMERATED:
            fresh = unseen(self._all_points(), frozenset(keys(points)))
            fresh = fresh if quotas is None else fresh[quotas.allowed(fresh, points)]
            if len(fresh) == 0:
                return None
        if number < len(self._initial):
            allowed = None if quotas is None else partial(quotas.allowed, known=points)
            tried, seen = [trial.params for trial in history.trials], frozenset(keys(points))
            params = complete(self.space, self._initial[number], tried, rng, seen=seen, allowed=allowed)
            if params is not None:
                return params
        with _OneBlasThread():
            model = None if number < self._n_initial() else self._model(history, points)
            if model is None:
                point = design_point(domain, points, rng)
            else:
                pending = [evaluation.trial.number for evaluation in history.pending]
                unknown = points[np.setdiff1d(pending, model.observed.numbers).astype(np.intp)]
                point = self._improving_point(model, domain, points, unknown, fresh, rng)
        if point is None and fresh is not None:  # levels of tiny probability, which no sequence meets
            point = fresh[int(rng.integers(len(fresh)))]
        return None if point is None else self.space.decode(point)

    def posterior(self, history: History) -> tuple[Array, Array]:
        """What the model thinks of the trials of the history, on the scale of the scores.

        Half the distance between the scores one standard deviation of z above and below the mean
        stands for the standard deviation.

        Returns
        -------
        mean, sd : (t,) arrays
            nan before the first finite score.
        """
        points = self._points.of(history)
        with _OneBlasThread():
            model = self._model(history, points)
            if model is None:
                return np.full(len(points), np.nan), np.full(len(points), np.nan)
            z, variance = model.process.posterior(self._domain.features(points))
        sd, inverse = np.sqrt(variance), model.warp.inverse
        return inverse(z), 0.5 * (inverse(z + sd) - inverse(z - sd))

    def _improving_point(
        self,
        model: _Model,
        domain: Domain,
        points: Array,
        pending: Array,
        fresh: Array | None,
        rng: np.random.Generator,
    ) -> Array | None:
        numbers = model.observed.numbers
        complete = np.flatnonzero(model.observed.complete)
        order = np.argsort(-model.z[complete], kind="stable")
        known = np.vstack([points[numbers[complete[order[:_CONTENDERS]]]], pending])
        drawn = len(known) if len(pending) <= _MOST_IMAGINED else len(known) - len(pending)
        normals = np.zeros((len(known), _IMAGINED))
        normals[:drawn] = ndtri(uniform_points(_IMAGINED, drawn, rng)).T
        improvement = LogExpectedImprovement.of(model.process, domain.features(known), normals)
        labels = self._labels(model, points)
        acquisition = improvement if labels is None else WhereFeasible(improvement, labels)
        if fresh is not None:
            return best_of(acquisition, domain, fresh)
        succeeded = np.flatnonzero(np.isfinite(model.observed.scores))
        order = np.argsort(-model.z[succeeded], kind="stable")
        leaders = points[numbers[succeeded[order[:_LEADERS]]]]
        return maximize(acquisition, domain, points, leaders, rng)

    def _labels(self, model: _Model, points: Array) -> GaussianProcess | None:
        """Where trials fail: a process of 1 and -1 with the lengthscales of the scores; None where few of them do."""
        failed = model.observed.numbers[~np.isfinite(model.observed.scores)]
        if len(failed) < max(_FEWEST_FAILURES, _SHARE_OF_FAILURES * len(model.observed.numbers)):
            return None
        hyperparameters = replace(model.process.design.hyperparameters, noise_variance=_LABEL_NOISE)
        features, groups = self._domain.features(points[model.used]), feature_groups(self.space.n_categories)
        return Design.of(features, groups, hyperparameters).given(np.where(np.isin(model.used, failed), -1.0, 1.0))

    def _model(self, history: History, points: Array) -> _Model | None:
        """The posterior given the history; None while no trial has a finite score on every fold."""
        fitted = self._fit(history, points)
        if fitted is None:
            return None
        observed = _Observed.of(history.outcomes)
        if not observed.complete.any():  # all that were complete at the last refit failed with more resource
            return None
        warp = HalfRankWarp.fit(observed.scores)
        z = warp.transform(observed.scores)
        later = np.flatnonzero(~np.isin(observed.numbers, fitted.observed))
        used, design = fitted.used, fitted.design
        if len(later):
            used = np.append(used, observed.numbers[later])
            extra = np.square(warp.deviations(observed.scores[later], observed.deviations[later]))
            design = design.append(self._domain.features(points[observed.numbers[later]]), extra)
        return _Model(design.given(z[np.searchsorted(observed.numbers, used)]), used, warp, z, observed)

    def _fit(self, history: History, points: Array) -> _Fitted | None:
        """Hyperparameters fitted to the outcomes up to the last refit, and the factor of their covariance.

        None before the first trial with a finite score on every fold.
        """
        outcomes = history.outcomes[: last_refit(len(history.outcomes))]
        data = _Data.of(outcomes, points)
        if data is None:
            outcomes = history.outcomes
            data = _Data.of(outcomes, points)
        if data is None:
            return None
        if self._fitted is None or self._fitted.key != data.key:
            self._fitted = self._refit(data, self._warm_start(outcomes, points))
        return self._fitted

    def _warm_start(self, outcomes: Sequence[Outcome], points: Array) -> Array | None:
        """Where the fit to these outcomes also starts: at what the default starts found at the refit before."""
        data = _Data.of(outcomes[: last_refit(len(outcomes) - 1)], points) if len(outcomes) > 1 else None
        if data is None:
            return None
        if self._fitted is not None and self._fitted.key == data.key:
            return self._fitted.next_start
        return self._refit(data, None).next_start

    def _refit(self, data: _Data, warm_start: Array | None) -> _Fitted:
        groups, observed, warp = feature_groups(self.space.n_categories), data.observed, data.warp
        z, features = warp.transform(observed.scores), self._domain.features(data.points)
        extra = np.square(warp.deviations(observed.scores, observed.deviations))
        some, most = informative(z, _FIT_LIMIT), informative(z, _MODEL_LIMIT)
        hyperparameters, next_start = fit(
            features[some],
            groups,
            z[some],
            extra[some],
            # the cliff to a failure is no question of scale
            warped=self._warpable if len(z) >= _WARP_FROM and np.isfinite(observed.scores).all() else (),
            expected_noise=data.noise,
            warm_start=warm_start,
        )
        design = Design.of(features[most], groups, hyperparameters, extra[most])
        return _Fitted(data.key, observed.numbers, observed.numbers[most], design, next_start)

    def _all_points(self) -> Array:
        if self._everything is None:
            self._everything = self.space.enumerate()
        return self._everything

    def _n_initial(self) -> int:
        if self.n_initial_points != "auto":
            return self.n_initial_points
        return n_initial(self.space.n_columns, self.n_workers, self.n_trials)


def _expected_noise(outcomes: Sequence[Outcome], warp: HalfRankWarp) -> float:
    """Variance of z that the folds lead to expect: of the mean over them, by what trial and fold do not explain.

    Folds have other effects at other amounts of a resource: the highest that can be judged counts.
    """
    amounts = sorted(by_amount(outcomes).items(), key=lambda group: -(group[0] or 0))
    models = (FoldModel.of(told) for _, told in amounts)
    folds = next((model for model in models if model is not None), None)
    if folds is None or len(folds.effects) == 1:
        return EXPECTED_NOISE
    deviation = warp.in_good_half(math.sqrt(folds.variance / len(folds.effects)))
    return deviation * deviation


@lru_cache(maxsize=1)
def _threadpools() -> ThreadpoolController:
    """Finding the libraries takes milliseconds, limiting them microseconds."""
    return ThreadpoolController()


class _OneBlasThread:
    """A context: matrices of a few hundred rows gain nothing from more threads.

    Where other processes use the cores too, waiting for a second thread made suggestions 10 to 200
    times slower (100 observations, 2 cores, load 8: 540 ms against 9 ms). The limit belongs to the
    process: the first search to enter sets it, the last one to leave restores what was there.
    """

    _lock = threading.Lock()
    _inside = 0
    _limiter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if _OneBlasThread._inside == 0:
                _OneBlasThread._limiter = _threadpools().limit(limits=1, user_api="blas")
            _OneBlasThread._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            _OneBlasThread._inside -= 1
            if _OneBlasThread._inside == 0:
                _OneBlasThread._limiter.restore_original_limits()


def last_refit(n_outcomes: int) -> int:
    """Number of outcomes at the last refit of the hyperparameters: each up to 19, then when there are a tenth more.

    >>> [last_refit(n) for n in (1, 19, 20, 22, 23, 100, 103)]
    [1, 19, 20, 22, 22, 94, 103]
    """
    refit = 1
    while refit + max(1, refit // 10) <= n_outcomes:
        refit += max(1, refit // 10)
    return refit


def informative(z: Array, limit: int) -> Indices:
    """Positions of at most `limit` observations: the best third, the newest third, the rest evenly spaced.

    >>> informative(np.array([5.0, 1.0, 2.0, 3.0, 4.0, 0.0]), 3).tolist()
    [0, 1, 5]
    """
    n = len(z)
    if n <= limit:
        return np.arange(n)
    share = math.ceil(limit / 3)
    kept = np.zeros(n, dtype=bool)
    kept[np.argsort(-z, kind="stable")[:share]] = True
    kept[-share:] = True
    rest = np.flatnonzero(~kept)
    kept[rest[np.linspace(0, len(rest) - 1, min(limit - int(kept.sum()), len(rest))).astype(np.intp)]] = True
    return np.flatnonzero(kept)
