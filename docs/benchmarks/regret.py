"""Regret of Bayesian optimisation against random search, on classical functions and real cross-validation.

    python docs/benchmarks/regret.py [--seeds 10] [--trials 50] [--tasks svc boosting ...] [--jobs 2] [--output FILE]
    python docs/benchmarks/regret.py --reference [--tasks ...] [--jobs 2]

Both methods maximise what a search sees: the function, or the mean score of one 3-fold split (another
split for every seed, the same for both methods). The point with the best observed score is selected
after 10, 20, 30 and all trials, and its *true value* taken: the function, or the mean over ten other
3-fold splits with other seeds of the estimator.

    normalised regret = (optimum - true value) / (optimum - median of the space)

The optimum of a function is known. That of a real task comes from an independent search
(`--reference`, kept in references.json): 4,200 random points on one further split; the 200 best on two
more; four rounds of 200 mutations of the 25 best by the mean of the three, each in steps half as large
as before. Then the 30 best random points and the 20 best mutants are valued on the splits of the true
value, and so are four more rounds of 30 mutations of the 6 best there. The largest true value is the
optimum. The median is that of the scores of the random points on the one split (of 20,000 random points
for a function).
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from sksearch.samplers.bayes import BayesSampler
from sksearch.space import Categorical, Integer, Real, Space
from sksearch.trials import Evaluation, History, Outcome, Params, Trial

REFERENCES = Path(__file__).with_name("references.json")
TRUE_SPLITS = range(10_000, 10_010)
REFERENCE_SPLITS = range(20_000, 20_003)
N_RANDOM, N_KEPT, N_ROUNDS, N_MUTANTS, N_PARENTS = 4_200, 200, 4, 200, 25
N_SHORTLIST, N_LAST_ROUNDS, N_LAST_MUTANTS, N_LAST_PARENTS = (30, 20), 4, 30, 6


@dataclass(frozen=True)
class Task:
    """Something to maximise."""

    space: Any
    """What BayesSearchCV takes as `search_spaces`."""
    score: Callable[[Params, int], float]
    """(params, seed of the split) -> score; a function of the params alone ignores the seed."""
    optimum: float | None = None
    """None where it takes a reference search."""


# --- classical functions --------------------------------------------------------------------------------------------


def branin(params: Params, _seed: int) -> float:
    """Two real columns, three equal maxima."""
    x, y = params["x"], params["y"]
    bowl = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return -(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(params: Params, _seed: int) -> float:
    """Six real columns."""
    x = np.array([params[f"x{i}"] for i in range(6)])
    return float(np.array([1, 1.2, 3, 3.2]) @ np.exp(-np.sum(HARTMANN_A * (x - HARTMANN_P) ** 2, axis=1)))


def mixed_ackley(params: Params, _seed: int) -> float:
    """Three real columns, an integer and two categories; the optimum is off the centre of each."""
    x = np.array([params["x0"] - 0.31, params["x1"] + 0.17, params["x2"] - 0.52, (params["k"] - 7) / 10])
    x = np.append(x, {"a": 0.6, "b": 0.0, "c": 0.3, "d": 0.9}[params["kind"]])
    x = np.append(x, 0.0 if params["flag"] else 0.4)
    return float(
        20 * np.exp(-0.2 * np.sqrt(np.mean((3 * x) ** 2))) + np.exp(np.mean(np.cos(6 * np.pi * x))) - 20 - math.e
    )


# --- scikit-learn models --------------------------------------------------------------------------------------------


@cache
def data(name: str, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A data set that scikit-learn ships, thinned so that thousands of fits are cheap."""
    load = {"cancer": load_breast_cancer, "diabetes": load_diabetes, "digits": load_digits}[name]
    X, y = load(return_X_y=True)
    strata = None if name == "diabetes" else y
    X, _, y, _ = train_test_split(X, y, train_size=n_rows, stratify=strata, random_state=0)
    return X, y


def cross_validated(estimator: Any, name: str, n_rows: int, scoring: str) -> Callable[[Params, int], float]:
    """The mean score of a 3-fold split."""

    @lru_cache(maxsize=32)
    def splits(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        X, y = data(name, n_rows)
        folds = (KFold if scoring == "r2" else StratifiedKFold)(3, shuffle=True, random_state=seed)
        return list(folds.split(X, y))

    def score(params: Params, seed: int) -> float:
        X, y = data(name, n_rows)
        model = clone(estimator).set_params(**{key: clone(value, safe=False) for key, value in params.items()})
        seeds = {key: seed for key in model.get_params() if key.endswith("random_state")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # solvers that did not converge are part of the space
            return float(np.mean(cross_val_score(model.set_params(**seeds), X, y, cv=splits(seed), scoring=scoring)))

    return score


def log(low: float, high: float) -> Real:
    """A range on a log scale."""
    return Real(low, high, "log-uniform")


@cache
def all_tasks() -> dict[str, Task]:
    """All tasks by name."""
    scaled = StandardScaler()
    choice = Pipeline([("scale", scaled), ("pca", PCA(svd_solver="full")), ("clf", SVC())])
    components = {"pca__n_components": Integer(2, 40)}
    return {
        "branin": Task({"x": Real(-5, 10), "y": Real(0, 15)}, branin, -0.39788735772973816),
        "hartmann6": Task({f"x{i}": Real(0, 1) for i in range(6)}, hartmann6, 3.322368011391339),
        "mixed ackley": Task(
            {
                **{f"x{i}": Real(-1, 1) for i in range(3)},
                "k": Integer(0, 20),
                "kind": Categorical(["a", "b", "c", "d"]),
                "flag": [True, False],
            },
            mixed_ackley,
            0.0,
        ),
        "svc": Task(
            {
                "svc__C": log(1e-3, 1e4),
                "svc__gamma": log(1e-6, 1e1),
                "svc__kernel": ["rbf", "poly", "sigmoid"],
                "svc__degree": Integer(1, 5),
                "svc__coef0": Real(-1, 1),
            },
            cross_validated(make_pipeline(scaled, SVC()), "cancer", 560, "accuracy"),
        ),
        "kernel ridge": Task(
            {
                "kernelridge__alpha": log(1e-5, 1e3),
                "kernelridge__gamma": log(1e-5, 1e1),
                "kernelridge__kernel": ["rbf", "laplacian", "polynomial"],
                "kernelridge__degree": Integer(1, 4),
            },
            cross_validated(make_pipeline(scaled, KernelRidge()), "diabetes", 250, "r2"),
        ),
        "boosting": Task(
            {
                "n_estimators": Integer(5, 80),
                "learning_rate": log(1e-3, 1.0),
                "max_depth": Integer(1, 6),
                "subsample": Real(0.3, 1.0),
                "min_samples_leaf": Integer(1, 40, "log-uniform"),
                "max_features": Real(0.1, 1.0),
            },
            cross_validated(GradientBoostingRegressor(), "diabetes", 250, "r2"),
        ),
        "choice": Task(
            [
                {"clf": [SVC()], "clf__C": log(1e-2, 1e3), "clf__gamma": log(1e-5, 1.0), **components},
                {
                    "clf": [KNeighborsClassifier()],
                    "clf__n_neighbors": Integer(1, 30),
                    "clf__weights": ["uniform", "distance"],
                    **components,
                },
                {"clf": [LogisticRegression(max_iter=100)], "clf__C": log(1e-4, 1e3), **components},
            ],
            cross_validated(choice, "digits", 900, "accuracy"),
        ),
        "neighbours": Task(
            {
                "pca__n_components": Integer(1, 50),
                "pca__whiten": [True, False],
                "kneighborsclassifier__n_neighbors": Integer(1, 50),
                "kneighborsclassifier__weights": ["uniform", "distance"],
                "kneighborsclassifier__p": Real(1, 4),
            },
            cross_validated(
                make_pipeline(PCA(svd_solver="full"), KNeighborsClassifier()), "digits", 300, "neg_log_loss"
            ),
        ),
        "sgd": Task(
            {
                "sgdclassifier__alpha": log(1e-6, 1e1),
                "sgdclassifier__l1_ratio": Real(0, 1),
                "sgdclassifier__loss": ["log_loss", "modified_huber"],
                "sgdclassifier__learning_rate": ["constant", "adaptive", "optimal"],
                "sgdclassifier__eta0": log(1e-5, 1e1),
            },
            cross_validated(
                make_pipeline(scaled, SGDClassifier(penalty="elasticnet", max_iter=20)), "cancer", 560, "neg_log_loss"
            ),
        ),
    }


def workers(jobs: int) -> ProcessPoolExecutor:
    """Processes of one BLAS thread each."""
    return ProcessPoolExecutor(jobs, initializer=threadpool_limits, initargs=(1,))


# --- searching ------------------------------------------------------------------------------------------------------


def trial_rng(seed: int, number: int) -> np.random.Generator:
    """The generator the searches give to trial `number`."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))


def search(n_trials: int, checkpoints: Sequence[int], name: str, method: str, seed: int) -> dict[str, Any]:
    """True values of the points selected at the checkpoints, and seconds for each suggestion."""
    task = all_tasks()[name]
    space = Space.parse(task.space, argument="search_spaces", tuple_is_range=True)
    sampler = BayesSampler(space, n_trials)
    history, seconds = History(), []
    for number in range(n_trials):
        rng = trial_rng(seed, number)
        start = time.perf_counter()
        params = sampler.suggest(history, rng) if method == "bayes" else space.sample(rng)
        seconds.append(time.perf_counter() - start)
        if params is None:
            break
        evaluation = Evaluation(Trial(number, params))
        history.asked(evaluation)
        history.told(Outcome(evaluation=evaluation, folds=(), score=task.score(params, seed)))
    scores = np.array([outcome.score for outcome in history.outcomes])
    selected = [int(np.nanargmax(scores[:checkpoint])) for checkpoint in checkpoints]
    values = {number: true_value(task, history.trials[number].params) for number in set(selected)}
    return {"values": [values[number] for number in selected], "seconds": seconds}


def true_value(task: Task, params: Params, splits: Sequence[int] = TRUE_SPLITS) -> float:
    """The score without the luck of one split."""
    if task.optimum is not None:
        return task.score(params, 0)
    return statistics.fmean(task.score(params, seed) for seed in splits)


# --- reference ------------------------------------------------------------------------------------------------------


def mutant(space: Space, parent: np.ndarray, step: float, rng: np.random.Generator) -> np.ndarray:
    """A point near the parent: about half of the coordinates moved by `step`, one drawn anew one time in four."""
    moved = rng.random(space.n_columns) < 0.5
    point = np.where(moved, np.clip(parent + step * rng.standard_normal(space.n_columns), 0, 1), parent)
    if rng.random() < 0.25:
        point[rng.integers(space.n_columns)] = rng.random()
    return space.snap(np.where(np.isnan(point), rng.random(space.n_columns), point)[None])[0]


def mutants(space: Space, parents: Sequence[Params], n: int, step: float, rng: np.random.Generator) -> list[Params]:
    """`n` mutants, the same number of each parent."""
    points = [space.encode(parent) for parent in parents]
    return [space.decode(mutant(space, points[i % len(points)], step, rng)) for i in range(n)]


def mean_scores(pool: Executor, name: str, points: Sequence[Params], splits: Sequence[int]) -> list[float]:
    """For every point its mean score over the splits."""
    return list(pool.map(partial(mean_score, name, splits), points, chunksize=25))


def mean_score(name: str, splits: Sequence[int], params: Params) -> float:
    """The score of one point, averaged."""
    return statistics.fmean(all_tasks()[name].score(params, seed) for seed in splits)


def reference(name: str, jobs: int) -> dict[str, Any]:
    """Optimum and median of a task, by the search described above."""
    task, rng = all_tasks()[name], np.random.default_rng(20_000)
    space = Space.parse(task.space, argument="search_spaces", tuple_is_range=True)
    if task.optimum is not None:
        values = [task.score(space.sample(rng), 0) for _ in range(20_000)]
        return {"optimum": task.optimum, "median": statistics.median(values), "n_points": len(values)}
    with workers(jobs) as pool:
        drawn = [space.sample(rng) for _ in range(N_RANDOM)]
        first = mean_scores(pool, name, drawn, REFERENCE_SPLITS[:1])
        params = best_of(drawn, first, N_KEPT)
        scores = mean_scores(pool, name, params, REFERENCE_SPLITS)
        for turn in range(N_ROUNDS):
            young = mutants(space, best_of(params, scores, N_PARENTS), N_MUTANTS, 0.1 / 2**turn, rng)
            scores += mean_scores(pool, name, young, REFERENCE_SPLITS)
            params += young
        # mutants crowd around few points, which may owe their place to the three splits
        params = [
            *best_of(params[:N_KEPT], scores[:N_KEPT], N_SHORTLIST[0]),
            *best_of(params[N_KEPT:], scores[N_KEPT:], N_SHORTLIST[1]),
        ]
        values = mean_scores(pool, name, params, TRUE_SPLITS)
        for turn in range(N_LAST_ROUNDS):
            young = mutants(space, best_of(params, values, N_LAST_PARENTS), N_LAST_MUTANTS, 0.05 / 2**turn, rng)
            values += mean_scores(pool, name, young, TRUE_SPLITS)
            params += young
    return {
        "optimum": max(values),
        "median": statistics.median(first),
        "n_points": N_RANDOM + N_ROUNDS * N_MUTANTS + N_LAST_ROUNDS * N_LAST_MUTANTS,
        "best": {key: repr(value) for key, value in best_of(params, values, 1)[0].items()},
    }


def best_of(params: Sequence[Params], scores: Sequence[float], n: int) -> list[Params]:
    """The n points of largest score, best first."""
    return [params[i] for i in np.argsort(-np.array(scores), kind="stable")[:n]]


def write_references(names: Sequence[str], jobs: int) -> None:
    """Recompute and store the references of the named tasks."""
    stored = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {"tasks": {}}
    stored["made_by"] = "python docs/benchmarks/regret.py --reference (see its docstring)"
    stored["versions"] = {
        "python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }
    for name in names:
        start = time.perf_counter()
        stored["tasks"][name] = reference(name, jobs)
        print(f"{name}: {stored['tasks'][name]} ({time.perf_counter() - start:.0f} s)", flush=True)
        REFERENCES.write_text(json.dumps(stored, indent=1) + "\n")


# --- report ---------------------------------------------------------------------------------------------------------


def interval(regrets: np.ndarray) -> tuple[float, float, float]:
    """Ratio of the mean regrets, bayes over random, and its 95 % bootstrap interval over the seeds of each task.

    `regrets` is (2, tasks, seeds); the two methods share the draw, for they share the splits.
    """
    rng = np.random.default_rng(0)
    _, n_tasks, n_seeds = regrets.shape
    draws = rng.integers(n_seeds, size=(10_000, n_tasks, n_seeds))
    means = regrets[:, np.arange(n_tasks)[:, None], draws].mean(axis=(2, 3))
    low, high = np.quantile(means[0] / means[1], [0.025, 0.975])
    ratio = regrets[0].mean() / regrets[1].mean()
    return float(ratio), float(low), float(high)


def report(regrets: np.ndarray, milliseconds: np.ndarray, names: Sequence[str], checkpoints: Sequence[int]) -> str:
    """The table. `regrets` (2, tasks, seeds, checkpoints), `milliseconds` (tasks, seeds, trials)."""
    last = regrets[..., -1].mean(axis=2)
    lines = [f"Mean normalised regret after {checkpoints[-1]} trials, {regrets.shape[2]} seeds", ""]
    lines.append(f"{'task':<14}{'random':>9}{'bayes':>9}{'ratio':>8}{'ms':>8}")
    for row, name in enumerate(names):
        bayes, random = last[:, row]
        cost = np.median(milliseconds[row, :, -10:])
        lines.append(f"{name:<14}{random:>9.4f}{bayes:>9.4f}{bayes / random:>8.2f}{cost:>8.1f}")
    lines += ["", "Mean over the tasks", f"{'trials':<14}{'random':>9}{'bayes':>9}{'ratio':>8}   95 % interval    ms"]
    for position, checkpoint in enumerate(checkpoints):
        bayes, random = regrets[..., position].mean(axis=(1, 2))
        ratio, low, high = interval(regrets[..., position])
        cost = np.median(milliseconds[:, :, max(checkpoint - 3, 0) : checkpoint])
        lines.append(f"{checkpoint:<14}{random:>9.4f}{bayes:>9.4f}{ratio:>8.2f}   {low:.2f} to {high:.2f}{cost:>9.1f}")
    lines += [
        "",
        "ms: median time of one suggestion of BayesSampler (last ten trials; last three before the checkpoint)",
    ]
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description="Regret of Bayesian optimisation against random search.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--tasks", nargs="+", choices=list(all_tasks()), default=list(all_tasks()))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write every regret and time as JSON")
    parser.add_argument("--reference", action="store_true", help="recompute references.json instead")
    options = parser.parse_args()
    if options.reference:
        write_references(options.tasks, options.jobs)
        return
    checkpoints = sorted({*(n for n in (10, 20, 30) if n < options.trials), options.trials})
    runs = [
        (name, method, seed)
        for method in ("bayes", "random")
        for name in options.tasks
        for seed in range(options.seeds)
    ]
    with workers(options.jobs) as pool:
        results = list(pool.map(partial(search, options.trials, checkpoints), *zip(*runs, strict=True)))
    shape = (2, len(options.tasks), options.seeds)
    references = json.loads(REFERENCES.read_text())["tasks"]
    values = np.array([result["values"] for result in results]).reshape(*shape, len(checkpoints))
    optimum, median = (np.array([references[name][key] for name in options.tasks]) for key in ("optimum", "median"))
    regrets = (optimum[:, None, None] - values) / (optimum - median)[:, None, None]
    milliseconds = 1e3 * np.array([result["seconds"] for result in results]).reshape(*shape, options.trials)[0]
    print(report(regrets, milliseconds, options.tasks, checkpoints))
    if options.output:
        record: dict[str, Any] = {"tasks": options.tasks, "checkpoints": checkpoints, "methods": ["bayes", "random"]}
        record |= {
            "true_values": values.tolist(),
            "regret": regrets.round(6).tolist(),
            "milliseconds": milliseconds.round(2).tolist(),
        }
        options.output.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
