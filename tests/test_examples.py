"""The example beside the quickstart: it runs, and what it reads from `history_` is what happened."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sklearn.datasets import load_digits

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "tuning_a_network.py"
PAGE = ROOT / "docs" / "guide" / "tuning_a_network.md"
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tuning_a_network", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def entry(trial: int, end_time: float, **others: Any) -> dict[str, Any]:
    return {
        "trial": trial,
        "n_resources": None,
        "score": 0.5,
        "fit_time": 1.0,
        "score_time": 0.0,
        "start_time": 0.0,
        "end_time": end_time,
        **others,
    }


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLE, *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_example_prints_a_line_for_each_search_and_draws_its_figures(tmp_path: Path, example: ModuleType):
    done = run("--quick", "--seed", 0, "--plots", tmp_path)
    assert done.returncode == 0, done.stderr
    _heading, *lines = done.stdout.splitlines()
    names = ["random search", "successive halving", "ASHA", "Bayesian", "ASHA with a model"]
    numbers = {line[:19].rstrip(): [float(text.rstrip("%")) for text in line[19:].split()] for line in lines[:5]}
    assert list(numbers) == names
    for trials, complete, passes, _seconds, _busy, validation, held_out in numbers.values():
        assert trials >= complete >= 1
        assert passes > trials or passes == 9 * complete
        assert 0 <= validation <= 1
        assert 0 <= held_out <= 1
    assert numbers["random search"][:3] == numbers["Bayesian"][:3] == [3, 3, 27]
    assert numbers["successive halving"][:3] == [9, 1, 9 + 3 * 2 + 1 * 6]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(example.FIGURES)
    assert [Path(line).name for line in lines[5:]] == list(example.FIGURES)


def test_the_page_shows_the_figures_of_the_example(example: ModuleType):
    shown = PICTURE.findall(PAGE.read_text(encoding="utf-8"))
    assert [Path(name).name for name in shown] == list(example.FIGURES)
    for name in shown:
        picture = (PAGE.parent / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 100_000


@pytest.mark.parametrize("name_of_budget", ["FULL", "CONVOLUTIONAL"])
def test_searches_cost_about_the_same(name_of_budget: str, example: ModuleType):
    budget = getattr(example, name_of_budget)
    network = example.perceptron(budget.passes)
    most = {}
    for name, search in example.searches(network, budget, random_state=0).items():
        if hasattr(search, "plan"):
            rows = search.plan()
            reached = {-1: 0} | {row["rung"]: row["n_resources"] for row in rows}
            most[name] = sum(row["n_trials"] * (row["n_resources"] - reached[row["rung"] - 1]) for row in rows)
        else:
            most[name] = search.n_iter * budget.passes
    assert max(most.values()) < 1.2 * min(most.values())


def test_all_passes_at_once_are_as_many_as_pass_by_pass(example: ModuleType):
    X, y = load_digits(return_X_y=True)
    at_once, by_pass, *_ = example.perceptron(4)
    with pytest.warns(match="hasn't converged"):
        assert at_once.set_params(tol=0.0).fit(X, y).n_iter_ == 4
    for _ in range(4):
        by_pass = by_pass.partial_fit(X, y)
    assert by_pass.t_ == at_once.t_


def test_the_incumbent_is_the_lowest_error_so_far(example: ModuleType):
    scores = [float("nan"), 0.2, 0.6, 0.5, 0.6, 0.9]
    history = [entry(number, float(number), score=score) for number, score in enumerate(scores)]
    seconds, errors = example.incumbent(history)
    assert seconds == [1.0, 2.0, 5.0]
    assert errors == pytest.approx([0.8, 0.4, 0.1])


def test_a_learning_curve_ends_where_its_trial_was_stopped(example: ModuleType):
    history = [
        entry(0, 1.0, n_resources=1, score=0.25),
        entry(1, 2.0, n_resources=1, score=0.5),
        entry(1, 3.0, n_resources=3, score=0.75),
        entry(2, 4.0, n_resources=1, score=float("nan")),
    ]
    assert example.learning_curves(history) == {0: ([1], [0.75]), 1: ([1, 3], [0.5, 0.25])}


def test_evaluations_in_a_lane_do_not_overlap(example: ModuleType):
    # the third was sent at once, and began when the first had ended
    history = [entry(0, 1.0), entry(2, 2.0), entry(1, 2.5, fit_time=2.5), entry(3, 3.0)]
    bars = [(worker, start, length, bar["trial"]) for worker, start, length, bar in example.lanes(history)]
    assert sorted(bars) == [(0, 0.0, 1.0, 0), (0, 1.0, 1.0, 2), (0, 2.0, 1.0, 3), (1, 0.0, 2.5, 1)]


def test_passes_of_a_promoted_trial_are_counted_once(example: ModuleType):
    history = [entry(0, 1.0, n_resources=1), entry(1, 2.0, n_resources=1), entry(1, 4.0, n_resources=3)]
    assert example.spent(history, passes=3) == (2, 1, 4, 4.0, 3 / 8)
    assert example.spent([entry(0, 2.0), entry(1, 2.0)], passes=3) == (2, 2, 6, 2.0, 0.5)


@pytest.mark.parametrize(("option", "extra"), [(["--plots", "figures"], "plot"), (["--torch"], "torch")])
def test_what_is_not_installed_is_named(
    option: list[str], extra: str, example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *option])
    monkeypatch.setattr(example.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        example.main()
    assert f"pip install '.[{extra}]'" in capsys.readouterr().err
