"""skorch nets: passes made in rungs against passes made at once, and against skorch's own fit."""

from __future__ import annotations

import functools
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import KFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline

from resolution import resolve
from sksearch import HyperbandSearchCV
from sksearch.nets import _BEFORE_THE_END, _ENDED_ITSELF, seeded
from sksearch.resources import Fold, PartialFit, Refit, Samples
from sksearch.spool import Spool

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")
callbacks = pytest.importorskip("skorch.callbacks")
ValidSplit = pytest.importorskip("skorch.dataset").ValidSplit

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


class SparseNet(Net):
    """As nets on graphs: a part of its state is sparse."""

    def __init__(self, n_hidden=8, dropout=0.2):
        super().__init__(n_hidden, dropout)
        self.register_buffer("graph", torch.eye(4).to_sparse())

    def forward(self, X):
        return super().forward(torch.sparse.mm(self.graph, X.T).T)


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


class Impatient(torch.optim.SGD):
    """Has something of its own, that torch's pickle leaves out, and another optimizer."""

    def __init__(self, params, lr):
        super().__init__(params, lr=lr)
        self.rho = 2.0
        self.base = torch.optim.SGD(self.param_groups, lr=lr)

    def step(self, closure=None):
        for group in self.base.param_groups:
            group["lr"] = self.rho * self.param_groups[0]["lr"]
        return self.base.step(closure)


class StopsWithLock(callbacks.EarlyStopping):
    """Knows best what to leave behind."""

    def initialize(self):
        self.lock_ = threading.Lock()
        return super().initialize()

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "lock_"}


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
    "best weights": {
        "callbacks": [("stop", callbacks.EarlyStopping(patience=9, load_best=True))],
        "optimizer__momentum": 0.99,
        "lr": 0.5,
    },
    "curvature": {"optimizer": torch.optim.LBFGS, "lr": 0.1},
    "an optimizer's own": {"optimizer": Impatient, "callbacks": stepwise("StepLR", step_size=2)},
    "early stopping's own": {"callbacks": [("stop", StopsWithLock(patience=9, load_best=True))]},
    "sparse": {"module": SparseNet, "callbacks": [("stop", callbacks.EarlyStopping(patience=9, load_best=True))]},
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


def drawn_by_torch(dataset, y=None, generator=None):
    return torch.utils.data.random_split(dataset, [0.8, 0.2], generator=generator)


def drawn_by_python(dataset, y=None):
    rows = list(range(len(dataset)))
    random.shuffle(rows)
    return torch.utils.data.Subset(dataset, rows[30:]), torch.utils.data.Subset(dataset, rows[:30])


class SeesSplits(callbacks.Callback):
    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        net.__dict__.setdefault("held_out", []).append(tuple(dataset_valid.indices))


@pytest.mark.parametrize(
    "split",
    [
        ValidSplit(0.2),
        ValidSplit(0.2, stratified=True, random_state=np.random.RandomState(0)),
        ValidSplit(KFold(4, shuffle=True)),
        functools.partial(drawn_by_torch, generator=torch.Generator()),
        drawn_by_python,
    ],
    ids=["share", "RandomState", "KFold", "generator", "random"],
)
def test_a_net_holds_out_the_same_rows_for_all_of_its_epochs(split):
    """As in skorch's own fit; early stopping would be told of rows that the net was trained on."""
    net = classifier(train_split=split, callbacks=[SeesSplits()])
    before = position_of_global_generator()
    grown, once = grow(net), at_once(net)
    assert position_of_global_generator() == before
    assert len(grown.held_out) == 9
    assert len(set(grown.held_out + once.held_out)) == 1
    assert np.array_equal(grown.predict_proba(X), once.predict_proba(X))
    assert type(grown.train_split) is type(split)
    others = [grow(net, levels=[1], seed=(seed, 0)).held_out[0] for seed in range(3)]
    own = isinstance(getattr(split, "random_state", None), np.random.RandomState)
    assert len(set(others)) == (1 if own or isinstance(split, functools.partial) else 3)


def test_a_split_is_asked_once_for_all_epochs_in_a_row():
    asked = []

    def split(dataset, y=None):
        asked.append(len(dataset))
        return drawn_by_python(dataset, y)

    rows = np.tile(np.arange(150), 3)  # more than Python has small numbers for
    net, fold = classifier(train_split=split), Fold(X[rows], y[rows], {}, SEED)
    PartialFit(max_resources=9).fit(net, fold, n_resources=9, trained=0)
    assert asked == [450]


def position_of_global_generator():
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002 - what splitters without a random_state draw from
    return keys.tobytes(), position


def test_best_weights_are_scored_and_do_not_go_on():
    """At every rung a net is what skorch's own fit with as many epochs gives, and goes on from its last weights."""
    net = classifier(**CASES["best weights"]).set_params(iterator_train__shuffle=False, module__dropout=0.0)
    n_put_back = 0
    for levels in ([1], [1, 3], [1, 3, 9]):
        model = grow(net, levels=levels)
        with seeded((*SEED, 0)):
            once = clone(net).set_params(max_epochs=levels[-1]).fit(X, y)
        assert np.array_equal(model.predict_proba(X), once.predict_proba(X))
        n_put_back += once.history[-1, "valid_loss"] > min(once.history[:, "valid_loss"])
    assert n_put_back


class TwoParts(skorch.NeuralNetClassifier):
    """Begins with a part of the rows."""

    def fit(self, X, y, **params):
        super().fit(X[:60], y[:60], **params)
        return self.partial_fit(X, y, **params)


class CountsRows(callbacks.Callback):
    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        net.__dict__.setdefault("counts_", []).append(len(dataset_train))


@pytest.mark.parametrize("growth", [Refit("max_epochs"), Samples(150, stratify=True)])
def test_a_fit_of_the_users_holds_out_of_what_it_gives(growth):
    net = TwoParts(Net, max_epochs=2, verbose=0, callbacks=[CountsRows()])
    assert growth.fit(net, Fold(X, y, {}, SEED), n_resources=2, trained=0).counts_ == [48, 48, 120, 120]


@pytest.mark.parametrize("case", ["ends in a rung", "best weights"])
def test_a_net_that_was_grown_has_no_parameters_of_ours(case):
    net = classifier(**CASES[case])
    grown = grow(net, levels=[1, 3])
    assert grown.get_params().keys() - clone(net).set_params(max_epochs=3).fit(X, y).get_params().keys() == set()
    assert len(at_once(clone(at_once(net))).history) == N_EPOCHS.get(case, 9)
    assert not [name for name in vars(at_once(net)) if name in (_BEFORE_THE_END, _ENDED_ITSELF)]


def test_a_handler_of_ctrl_c_that_does_not_raise_ends_nothing():
    came = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        for growth in (PartialFit(max_resources=3), Refit("max_epochs")):
            net = growth.fit(classifier(callbacks=[PressesCtrlC()]), Fold(X, y, {}, SEED), n_resources=3, trained=0)
            assert len(net.history) == 3
    finally:
        signal.signal(signal.SIGINT, before)
    assert came


def test_nets_within_other_models_draw_from_the_seed():
    for model, growth in [
        (CalibratedClassifierCV(classifier(), cv=2), Samples(150, stratify=True)),
        (BaggingClassifier(classifier(), 2, random_state=0), Refit("estimator__max_epochs")),
    ]:
        first, again = (
            growth.fit(clone(model), Fold(X, y, {}, SEED), n_resources=3, trained=0).predict_proba(X) for _ in range(2)
        )
        assert np.array_equal(first, again)


class PressesCtrlC(callbacks.Callback):
    def on_batch_end(self, net, **kwargs):
        signal.raise_signal(signal.SIGINT)


class Ends(callbacks.Callback):
    def on_batch_end(self, net, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("growth", [PartialFit(max_resources=9), Refit("max_epochs"), Samples(150, stratify=True)])
def test_ctrl_c_ends_the_search_and_not_only_the_training_of_a_net(growth):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        growth.fit(classifier(callbacks=[PressesCtrlC()]), Fold(X, y, {}, SEED), n_resources=9, trained=0)
    net = growth.fit(classifier(callbacks=[Ends()]), Fold(X, y, {}, SEED), n_resources=9, trained=0)
    assert len(net.history) == 1
    assert signal.getsignal(signal.SIGINT) is before


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


class Casts(skorch.NeuralNetClassifier):
    def fit(self, X, y, **params):
        return super().fit(X.astype(np.float32), y, **params)


def test_what_passes_of_a_net_would_ignore_is_refused():
    saves = [("save", callbacks.Checkpoint(load_best=True))]
    for net, reason in [
        (Casts(Net), r"would not call Casts\.fit; use resource='max_epochs'"),
        (classifier(callbacks=saves), r"Checkpoint with load_best=True.*EarlyStopping\(load_best=True\)"),
    ]:
        with pytest.raises(ValueError, match=reason):
            resolve(net, "partial_fit")
        assert resolve(net).growth.resource == "n_samples"
        assert resolve(net, "max_epochs", max_resources=9).growth == Refit("max_epochs")
    named, unnamed = [("save", callbacks.Checkpoint())], [callbacks.Checkpoint()]
    for net in (
        classifier(callbacks=named, callbacks__save__load_best=True),
        classifier(callbacks=[("save", callbacks.Checkpoint)], callbacks__save__load_best=True),
        classifier(callbacks=unnamed, callbacks__Checkpoint__load_best=True),
    ):
        with pytest.raises(ValueError, match="Checkpoint with load_best=True"):
            resolve(net, "partial_fit")
    for branch in ({"callbacks__save__load_best": [False, True]}, {"callbacks": [None, saves]}):
        with pytest.raises(ValueError, match=f"does not suit {next(iter(branch))}="):
            resolve(classifier(callbacks=named), "partial_fit", searched_names=list(branch), branches=[branch])
    assert resolve(classifier(callbacks=named), "partial_fit").growth == PartialFit(81)
    with sklearn.config_context(enable_metadata_routing=True):
        asks = classifier().set_fit_request(sample_weight=True)
        assert resolve(asks, "partial_fit", fit_params=["sample_weight"]).growth == PartialFit(81)
    with pytest.raises(ValueError, match="for which max_epochs means nothing, but it is searched"):
        resolve(classifier(), "partial_fit", searched_names=["lr", "max_epochs"])
    assert resolve(classifier(), searched_names=["lr", "max_epochs"]).growth.resource == "n_samples"
    assert resolve(MultiOutputRegressor(skorch.NeuralNetRegressor(Line)), n_classes=None).growth.resource == "n_samples"


@pytest.mark.parametrize("growth", [Refit("max_epochs"), Samples(150, stratify=True)])
def test_nets_that_are_fitted_anew_draw_from_the_seed(growth):
    net = classifier(train_split=ValidSplit(0.2))
    first, again, other = (
        growth.fit(clone(net), Fold(X, y, {}, seed), n_resources=3, trained=0).predict_proba(X)
        for seed in (SEED, SEED, (7, 3))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


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
