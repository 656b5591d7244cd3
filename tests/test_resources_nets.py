"""skorch nets: passes made in rungs against passes made at once, and against skorch's own fit."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.pipeline import Pipeline

from resolution import resolve
from sksearch import HyperbandSearchCV
from sksearch.nets import seeded
from sksearch.resources import Fold, PartialFit
from sksearch.spool import Spool

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")
callbacks = pytest.importorskip("skorch.callbacks")

SEED = (7, 2)
X, y = load_iris(return_X_y=True)
X, y = X.astype(np.float32), y.astype(np.int64)


def layers(n_hidden, dropout, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(4, n_hidden), torch.nn.ReLU(), torch.nn.Dropout(dropout), torch.nn.Linear(n_hidden, n_outputs)
    )


class Net(torch.nn.Module):
    def __init__(self, n_hidden=8, dropout=0.2):
        super().__init__()
        self.layers = layers(n_hidden, dropout, 3)

    def forward(self, X):
        return torch.softmax(self.layers(X), -1)


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = layers(8, 0.2, 1)

    def forward(self, X):
        return self.layers(X)


def classifier(**params):
    usual = {"lr": 0.05, "max_epochs": 9, "verbose": 0, "iterator_train__shuffle": True}
    return skorch.NeuralNetClassifier(params.pop("module", Net), **{**usual, **params})


def grow(net, X=X, y=y, levels=(1, 3, 9), seed=SEED):
    """Train to each level in turn, through the spool as a paused net goes."""
    growth = PartialFit(max_resources=9)
    model, trained = clone(net), 0
    with Spool() as spool:
        for level in levels:
            model = growth.fit(model, Fold(X, y, {}, seed), n_resources=level, trained=trained)
            spool.save(0, 0, model, level)
            model, trained = spool.load(0, 0)
    return model


def at_once(net, X=X, y=y):
    return PartialFit(max_resources=9).fit(clone(net), Fold(X, y, {}, SEED), n_resources=9, trained=0)


# --- grown equals fitted at once ------------------------------------------------------------------------------


def stepwise(policy, **params):
    return [("schedule", callbacks.LRScheduler(policy=policy, **params))]


CASES = {
    "plain": {},
    "momentum": {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
    "adam": {"optimizer": torch.optim.Adam, "lr": 0.01},
    "no split": {"train_split": None},
    "steps": {"callbacks": stepwise("StepLR", step_size=2)},
    "cosine": {"callbacks": stepwise("CosineAnnealingLR", T_max=9), "optimizer": torch.optim.Adam},
    "cycle": {"callbacks": stepwise("CyclicLR", base_lr=0.01, max_lr=0.1, step_every="batch", cycle_momentum=False)},
    "plateau": {"callbacks": stepwise("ReduceLROnPlateau", patience=0)},
    "ends in a rung": {"callbacks": [("stop", callbacks.EarlyStopping(patience=1, threshold=0.5))]},
    "ends with a rung": {"callbacks": [("stop", callbacks.EarlyStopping(patience=2, threshold=0.5))]},
}
N_EPOCHS = {"ends in a rung": 2, "ends with a rung": 3}


@pytest.mark.parametrize("case", CASES)
def test_passes_made_in_rungs_equal_passes_made_at_once(case):
    net = classifier(**CASES[case])
    grown, once = grow(net), at_once(net)
    assert np.array_equal(grown.predict_proba(X), once.predict_proba(X))
    assert len(grown.history) == len(once.history) == N_EPOCHS.get(case, 9)
    assert grown.max_epochs == 9


@pytest.mark.parametrize("case", CASES)
def test_epochs_without_random_draws_are_those_of_skorchs_own_fit(case):
    net = classifier(**CASES[case]).set_params(iterator_train__shuffle=False, module__dropout=0.0)
    grown = grow(net)
    with seeded((*SEED, 0)):  # the same weights to begin with
        once = clone(net).fit(X, y)
    assert np.array_equal(grown.predict_proba(X), once.predict_proba(X))
    assert grown.history[:, "train_loss"] == once.history[:, "train_loss"]


def test_regressors_and_pipelines_with_nets_grow():
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:, :4].astype(np.float32), y.astype(np.float32)[:, None]
    net = skorch.NeuralNetRegressor(Line, lr=1e-4, verbose=0)
    assert np.array_equal(grow(net, X, y).predict(X), at_once(net, X, y).predict(X))
    estimator = Pipeline([("count", Counter()), ("net", net)])
    Counter.fits = 0
    grown = grow(estimator, X, y)
    assert Counter.fits == 1
    assert np.array_equal(grown.predict(X), grow(net, X, y).predict(X))


class Counter(TransformerMixin, BaseEstimator):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y=None):
        type(self).fits += 1
        return self

    def transform(self, X):
        return X


# --- random numbers -------------------------------------------------------------------------------------------


def test_the_seed_decides_about_weights_and_draws():
    net = classifier()
    first, again, other = (grow(net, levels=[1], seed=seed).predict_proba(X) for seed in (SEED, SEED, (7, 3)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_passes_draw_differently():
    """Without learning only dropout and shuffling are left of a pass, and its loss tells them apart."""
    losses = grow(classifier(lr=0.0, module__dropout=0.5)).history[:, "train_loss"]
    assert len(set(losses)) == 9


def test_the_users_random_numbers_are_as_if_nothing_had_been_drawn():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    at_once(classifier())
    assert torch.equal(torch.rand(3), expected)


def test_nets_of_several_threads_take_turns():
    nets = [classifier(lr=lr) for lr in (0.01, 0.03, 0.1, 0.3)]
    alone = [at_once(net).predict_proba(X) for net in nets]
    with ThreadPoolExecutor(4) as pool:
        trained = list(pool.map(at_once, nets))
    for net, expected in zip(trained, alone, strict=True):
        assert np.array_equal(net.predict_proba(X), expected)


# --- paused nets ----------------------------------------------------------------------------------------------


def test_a_net_with_a_module_of_a_script_pauses_and_goes_on_in_another_process():
    """As in a worker, whose own __main__ does not have the class."""

    class Local(Net):
        pass

    Local.__module__, Local.__qualname__ = "__main__", "Local"
    net = classifier(module=Local)
    growth = PartialFit(max_resources=9)
    model = growth.fit(clone(net), Fold(X, y, {}, SEED), n_resources=3, trained=0)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(model)
    with Spool() as spool:
        spool.save(0, 0, model, 3)
        code = (
            "import pickle\n"
            f"spool = pickle.loads({pickle.dumps(spool)!r})\n"
            "model, trained = spool.load(0, 0)\n"
            "spool.save(0, 1, model, trained)\n"
        )
        path = {"PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | path)
        paused, trained = spool.load(0, 1)
    grown = growth.fit(paused, Fold(X, y, {}, SEED), n_resources=9, trained=trained)
    assert np.array_equal(grown.predict_proba(X), at_once(net).predict_proba(X))


def test_the_parts_of_a_paused_net_are_still_one():
    model = grow(classifier(callbacks=stepwise("StepLR", step_size=2)), levels=[1])
    assert dict(model.callbacks_)["schedule"].lr_scheduler_.optimizer is model.optimizer_
    weights = model.optimizer_.param_groups[0]["params"][0]
    assert weights is next(model.module_.parameters())


# --- the choice, and whole searches ---------------------------------------------------------------------------


def test_nets_grow_by_passes():
    resolved = resolve(classifier(), searched_names=["lr"], fit_params=["whatever_the_module_takes"])
    assert resolved == (PartialFit(max_resources=81), 1, 81)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_of_nets_is_reproducible(n_jobs):
    search = HyperbandSearchCV(
        classifier(),
        {"lr": [0.01, 0.03, 0.1, 0.3], "module__n_hidden": [4, 8, 16]},
        max_resources=9,
        n_candidates=9,
        schedule="hyperband",
        brackets=1,
        cv=3,
        n_jobs=n_jobs,
        random_state=0,
    )
    first, again = (clone(search).fit(X, y) for _ in range(2))
    scores = [
        {(row["trial"], row["n_resources"]): row["score"] for row in search.history_} for search in (first, again)
    ]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 13
    assert np.array_equal(first.best_estimator_.predict_proba(X), again.best_estimator_.predict_proba(X))
    assert first.resource_ == "partial_fit"
    assert len(first.best_estimator_.history) == 9
