"""The engine, over every backend: ask after tell, order of delivery, errors as values, nothing left behind."""

from __future__ import annotations

import functools
import itertools
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sksearch.execution import Delivery, Desk, JobPool, run_search
from sksearch.samplers.fixed import FixedSampler
from sksearch.schedulers.full import FullScheduler
from sksearch.trials import Evaluation, FoldScore, History, Job, Outcome, Params, Trial

BACKENDS = ["sequential", "threading", "loky", "multiprocessing"]
N_FOLDS = 3


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with joblib.parallel_config(backend=request.param):
        yield request.param


def measure(jobs: Sequence[Job], pause: float = 0.0) -> list[dict[str, Any]]:
    """What a worker does: the score says which job this was, so that a mix-up shows."""
    results = []
    for job in jobs:
        number = job.evaluation.trial.number
        time.sleep(pause * np.random.default_rng([number, job.fold]).random())
        score = 10.0 * number + job.fold
        results.append({"test_scores": score, "fit_time": 0.0, "score_time": 0.0, "n_test_samples": os.getpid()})
    return results


def measure_at_random(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """As `measure`, in a time that differs from run to run."""
    time.sleep(0.02 * np.random.default_rng().random())
    return measure(jobs)


class Watching:
    """A sampler that writes down what it could know at each ask, and makes its suggestion depend on it."""

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def suggest(self, history: History, rng: np.random.Generator) -> Params | None:
        told = tuple(outcome.evaluation.trial.number for outcome in history.outcomes)
        pending = tuple(evaluation.trial.number for evaluation in history.pending)
        self.seen.append((told, pending))
        return {"draw": float(rng.random()), "sum": sum(outcome.score for outcome in history.outcomes)}


def search(
    run: Callable[[Sequence[Any]], list[dict[str, Any]]],
    sampler: Any,
    *,
    n_trials: int | None,
    n_jobs: int,
    delivery: Callable[[int], Delivery],
) -> tuple[History, str]:
    history = History()
    scheduler = FullScheduler(sampler, n_trials)
    with JobPool(run, n_jobs=n_jobs) as pool:
        desk = Desk(
            scheduler,
            history,
            n_folds=N_FOLDS,
            objective=float,
            entropy=7,
            delivery=delivery(pool.n_workers),
        )
        return history, run_search(scheduler, pool, history, desk)


def fixed(n_workers: int) -> Delivery:
    return Delivery.fixed()


def on_arrival(n_workers: int) -> Delivery:
    return Delivery.on_arrival()


def test_every_job_comes_back_with_its_own_result(backend: str) -> None:
    candidates = [{"i": i} for i in range(40)]
    history, reason = search(measure, FixedSampler(candidates), n_trials=None, n_jobs=2, delivery=fixed)
    assert reason == "exhausted"
    assert [outcome.evaluation.trial.params for outcome in history.outcomes] == candidates
    for number, outcome in enumerate(history.outcomes):
        assert [fold.test_scores for fold in outcome.folds] == [10.0 * number + fold for fold in range(N_FOLDS)]
        assert outcome.score == pytest.approx(10.0 * number + 1)
        assert 0 <= outcome.start_time <= outcome.end_time


@pytest.mark.parametrize("delivery", [on_arrival, Delivery.in_order], ids=["on arrival", "in order"])
def test_an_ask_knows_all_but_what_is_under_way(backend: str, delivery: Callable[[int], Delivery]) -> None:
    sampler = Watching()
    n_jobs = 2
    history, reason = search(
        functools.partial(measure, pause=0.01), sampler, n_trials=12, n_jobs=n_jobs, delivery=delivery
    )
    assert reason == "budget"
    assert len(history.outcomes) == 12
    workers = 1 if backend == "sequential" else n_jobs
    for number, (told, pending) in enumerate(sampler.seen):
        assert sorted(told + pending) == list(range(number))
        assert len(pending) < workers + (delivery is on_arrival)  # folds of the last one may wait for a worker


@pytest.mark.parametrize("window", [1, 2, 5])
def test_in_order_delivery_shows_each_ask_the_same_past(backend: str, window: int) -> None:
    sampler = Watching()
    search(measure_at_random, sampler, n_trials=12, n_jobs=2, delivery=lambda _: Delivery.in_order(window))
    assert [told for told, _ in sampler.seen] == [tuple(range(max(0, k - window + 1))) for k in range(12)]


def test_a_seeded_search_does_not_depend_on_backend_or_timing() -> None:
    runs = []
    for name in ("threading", "loky", "threading", "loky", "multiprocessing"):
        with joblib.parallel_config(backend=name):
            history, _ = search(measure_at_random, Watching(), n_trials=15, n_jobs=2, delivery=Delivery.in_order)
        runs.append([(o.evaluation.trial.number, o.evaluation.trial.params, o.score) for o in history.outcomes])
    assert all(run == runs[0] for run in runs)


def test_fixed_candidates_do_not_depend_on_the_number_of_workers() -> None:
    runs = []
    for n_jobs in (1, 2, 3):
        candidates = [{"i": i} for i in range(25)]
        history, _ = search(measure_at_random, FixedSampler(candidates), n_trials=25, n_jobs=n_jobs, delivery=fixed)
        runs.append([(outcome.evaluation.trial.number, outcome.score) for outcome in history.outcomes])
    assert runs[0] == runs[1] == runs[2]


def raise_on_five(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    if any(job.evaluation.trial.number == 5 for job in jobs):
        raise RuntimeError("an error that is not a value")
    return measure(jobs)


def test_an_exception_of_the_callable_reaches_the_caller(backend: str) -> None:
    history = History()
    scheduler = FullScheduler(FixedSampler([{}] * 30), 30)
    desk = Desk(scheduler, history, n_folds=2, objective=float, entropy=0, delivery=Delivery.in_order(2))
    with pytest.raises(RuntimeError, match="not a value"), JobPool(raise_on_five, n_jobs=2) as pool:
        run_search(scheduler, pool, history, desk)
    assert [outcome.evaluation.trial.number for outcome in history.outcomes][:4] == [0, 1, 2, 3]


def fail_as_value(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [{**result, "error": "Traceback: no", "test_scores": 0.5} for result in measure(jobs)]


def test_a_failed_fold_makes_a_failed_trial_whatever_its_score(backend: str) -> None:
    history, _ = search(fail_as_value, FixedSampler([{}] * 4), n_trials=4, n_jobs=2, delivery=fixed)
    assert {outcome.status for outcome in history.outcomes} == {"failed"}
    assert all(math.isnan(outcome.score) for outcome in history.outcomes)


def die_on_four(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    if any(job.evaluation.trial.number == 4 and job.fold == 1 for job in jobs):
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(jobs)


@pytest.mark.parametrize("processes", ["loky", "multiprocessing"])
@pytest.mark.parametrize("delivery", [fixed, on_arrival], ids=["fixed", "on arrival"])  # in order: with pruned folds
def test_a_dead_worker_costs_only_the_job_that_kills_it(delivery: Callable[[int], Delivery], processes: str) -> None:
    with joblib.parallel_config(backend=processes):
        history, _ = search(die_on_four, FixedSampler([{}] * 12), n_trials=12, n_jobs=2, delivery=delivery)
    by_number = {outcome.evaluation.trial.number: outcome for outcome in history.outcomes}
    assert sorted(by_number) == list(range(12))
    assert [number for number, outcome in by_number.items() if outcome.status == "failed"] == [4]
    errors = [fold.error for fold in by_number[4].folds]
    assert errors[0] is None
    assert errors[2] is None
    assert "worker process died" in str(errors[1])


def who(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [{**result, "fit_time": float(os.getpid())} for result in measure(jobs, pause=0.1)]


@pytest.mark.parametrize("n_units", [1, 3])
def test_work_that_broken_workers_refuse_is_run_by_new_ones(n_units: int) -> None:
    """A worker dies while nothing waits for a result: it is `submit` that hears of it."""
    jobs = [Job(Evaluation(Trial(number, {})), 0) for number in range(n_units)]
    with joblib.parallel_config(backend="loky"), JobPool(who, n_jobs=2) as pool:
        pool.submit([JOB])
        (before,) = pool.next_done()
        executor = pool._parallel._backend._workers
        os.kill(int(before.fit_time), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while executor._flags.broken is None and time.monotonic() < deadline:
            time.sleep(0.01)
        for job in jobs:
            pool.submit([job])
        scores = []
        while not pool.idle:
            scores += pool.next_done()
    assert sorted(score.job.evaluation.trial.number for score in scores) == list(range(n_units))
    assert {score.error for score in scores} == {None}
    assert [score.test_scores for score in scores] == [10.0 * score.job.evaluation.trial.number for score in scores]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("waits", [True, False])
def test_an_idle_worker_of_multiprocessing_dies(which: int, waits: bool) -> None:
    """One of the two has the lock of the queue of tasks: nobody gets another one, and `terminate` waits for ever."""
    with joblib.parallel_config(backend="multiprocessing"), JobPool(measure, n_jobs=2) as pool:
        workers = list(pool._parallel._backend._get_pool()._pool)
        pool.submit([JOB])
        (before,) = pool.next_done()
        time.sleep(0.2)  # until both wait
        os.kill(workers[which].pid, signal.SIGKILL)
        workers[which].join()
        if waits:
            time.sleep(0.5)  # until it is replaced
        scores = []
        for number in range(3):
            pool.submit([Job(Evaluation(Trial(number, {})), 0)])
        while not pool.idle:
            scores += pool.next_done()
    assert before.error is None
    assert sorted(score.test_scores for score in scores) == [0.0, 10.0, 20.0]
    assert {score.error for score in scores} == {None}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("busy", [True, False])
def test_a_pool_is_left_although_an_idle_worker_of_multiprocessing_died(which: int, busy: bool) -> None:
    with joblib.parallel_config(backend="multiprocessing"), JobPool(measure, n_jobs=2) as pool:
        workers = list(pool._parallel._backend._get_pool()._pool)
        time.sleep(0.2)
        os.kill(workers[which].pid, signal.SIGKILL)
        workers[which].join()
        if busy:
            pool.submit([JOB])
    assert not any(worker.is_alive() for worker in workers)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("half", [b"", (1000).to_bytes(4, "big") + b"a thousand bytes, it said"])
def test_a_worker_of_multiprocessing_dies_while_it_sends_a_result(half: bytes) -> None:
    """With the lock of the queue of results in its hands, and half a result in the pipe."""
    with joblib.parallel_config(backend="multiprocessing"), JobPool(measure, n_jobs=2) as pool:
        workers = pool._parallel._backend._get_pool()
        pool.submit([JOB])
        pool.next_done()
        time.sleep(0.2)  # until both wait
        results, worker = workers._outqueue, workers._pool[0]
        results._wlock.acquire()  # what the worker would do
        os.write(results._writer.fileno(), half)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        scores = []
        for number in range(3):
            pool.submit([Job(Evaluation(Trial(number, {})), 0)])
        while not pool.idle:
            scores += pool.next_done()
    assert sorted(score.test_scores for score in scores) == [0.0, 10.0, 20.0]
    assert {score.error for score in scores} == {None}
    assert not workers._result_handler.is_alive()


def measure_slowly(jobs: Sequence[Any]) -> list[dict[str, Any]]:
    time.sleep(1.2)  # longer than a search waits before it looks
    return measure([job[0] if isinstance(job, tuple) else job for job in jobs])


@pytest.mark.timeout(60)
def test_workers_of_multiprocessing_may_retire() -> None:
    pytest.importorskip("joblib", minversion="1.5", reason="joblib hands maxtasksperchild on since 1.5")
    with (
        joblib.parallel_config(backend="multiprocessing", maxtasksperchild=1),
        JobPool(measure_slowly, n_jobs=2) as pool,
    ):
        for number in range(4):
            pool.submit([Job(Evaluation(Trial(number, {})), 0)])
        scores = []
        while not pool.idle:
            scores += pool.next_done()
    assert {score.error for score in scores} == {None}
    assert len({score.n_test_samples for score in scores}) == 4  # processes


@pytest.mark.timeout(60)
@pytest.mark.parametrize("size", [20_000, 1_000_000])
def test_a_pool_is_left_while_large_tasks_are_on_their_way(size: int) -> None:
    """A worker that is ended while it takes one leaves half of it in the pipe."""
    words = {str(number): number for number in range(size // 5)}
    for _ in range(5):

        def leave() -> None:
            with JobPool(measure_slowly, n_jobs=2, prepare=lambda job: (job, words)) as pool:
                for number in range(4):
                    pool.submit([Job(Evaluation(Trial(number, {})), 0)])
                raise KeyboardInterrupt

        with joblib.parallel_config(backend="multiprocessing"), pytest.raises(KeyboardInterrupt):
            leave()


class Unreadable(Exception):  # noqa: N818 - what its pickle is made of does not make it again
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


def give_unreadable(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    if jobs[0].evaluation.trial.number == 1:
        return [{**measure(jobs)[0], "error": Unreadable(1, 2)}]
    return measure(jobs)


def raise_unreadable(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    raise Unreadable(1, 2)


class Unwritable(Exception):  # noqa: N818 - what it holds cannot be pickled
    def __init__(self) -> None:
        super().__init__("3 4")
        self.lock = threading.Lock()


def raise_unwritable(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    raise Unwritable


@pytest.mark.timeout(60)
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
@pytest.mark.parametrize(
    ("run", "told"), [(raise_unreadable, "Unreadable: 1 2"), (raise_unwritable, "Unwritable: 3 4")]
)
def test_an_exception_that_cannot_be_sent_is_told_by_its_traceback(backend: str, run: Any, told: str) -> None:
    """The worker dies of it, or whoever receives it, and nobody knows what it was."""
    with joblib.parallel_config(backend=backend), JobPool(run, n_jobs=2) as pool:
        pool.submit([Job(Evaluation(Trial(0, {})), 0)])
        with pytest.raises(RuntimeError, match=told):
            pool.next_done()


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_result_that_cannot_be_unpickled_ends_nothing_but_its_fit() -> None:
    """multiprocessing's thread that receives results dies of it."""
    with joblib.parallel_config(backend="multiprocessing"), JobPool(give_unreadable, n_jobs=2) as pool:
        for number in range(4):
            pool.submit([Job(Evaluation(Trial(number, {})), 0)])
        scores = []
        while not pool.idle:
            scores += pool.next_done()
    errors = {score.job.evaluation.trial.number: score.error for score in scores}
    assert {number for number, error in errors.items() if error} == {1}
    assert set(errors) == {0, 1, 2, 3}


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_pool_is_left_although_another_process_has_its_pipes() -> None:
    """Whoever waits for the end of a pipe waits for all who can write to it."""
    words = {str(number): number for number in range(200_000)}
    others = []

    def leave() -> None:
        with JobPool(measure_slowly, n_jobs=2, prepare=lambda job: (job, words)) as pool:
            for number in range(4):
                pool.submit([Job(Evaluation(Trial(number, {})), 0)])
            others.append(multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,)))
            others[0].start()
            raise KeyboardInterrupt

    try:
        with joblib.parallel_config(backend="multiprocessing"), pytest.raises(KeyboardInterrupt):
            leave()
        assert others[0].is_alive()
    finally:
        others[0].kill()
        others[0].join()


@pytest.mark.timeout(60)
def test_ctrl_c_while_the_workers_are_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    backend_class = joblib.parallel.BACKENDS["multiprocessing"]
    configure = backend_class.configure
    calls: list[int] = []

    def interrupted(self: Any, *arguments: Any, **keywords: Any) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return int(configure(self, *arguments, **keywords))

    monkeypatch.setattr(backend_class, "configure", interrupted)
    with joblib.parallel_config(backend="multiprocessing"), pytest.raises(KeyboardInterrupt):
        search(die_on_four, FixedSampler([{}] * 12), n_trials=12, n_jobs=2, delivery=fixed)


class Array:
    """A callable with data, large enough to be mapped."""

    def __init__(self, n: int) -> None:
        self.data = np.arange(n, dtype=np.float64)
        self.small = np.arange(10.0)

    def __call__(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        writeable = self.data.flags.writeable, self.small.flags.writeable
        error = f"{self.data.sum()} {self.small.sum()} {writeable}"
        return [{**result, "error": error} for result in measure(jobs)]


@pytest.mark.parametrize(("n", "writeable"), [(1000, True), (300_000, False)])
def test_data_arrive_whole_and_large_arrays_are_mapped_read_only(n: int, writeable: bool) -> None:
    for name in ("loky", "multiprocessing"):
        with joblib.parallel_config(backend=name):
            history, _ = search(Array(n), FixedSampler([{}] * 4), n_trials=4, n_jobs=2, delivery=fixed)
        expected = f"{np.arange(n, dtype=np.float64).sum()} 45.0 {(writeable, True)}"
        assert {fold.error for outcome in history.outcomes for fold in outcome.folds} == {expected}


def test_functions_of_a_notebook_travel_to_processes() -> None:
    offset = 3.0
    local = lambda jobs: [{**r, "test_scores": r["test_scores"] + offset} for r in measure(jobs)]  # noqa: E731
    for name in ("loky", "multiprocessing"):
        with joblib.parallel_config(backend=name):
            history, _ = search(local, FixedSampler([{}] * 3), n_trials=3, n_jobs=2, delivery=fixed)
        assert [outcome.score for outcome in history.outcomes] == pytest.approx([4, 14, 24])


def leftovers(folder: Path) -> set[str]:
    """Files of ours in `folder`, and the memory maps of this process's joblib in the places it puts them."""
    places = [folder, Path("/dev/shm"), Path(tempfile.gettempdir())]
    maps = [path for place in places for path in place.glob(f"joblib_memmapping_folder_{os.getpid()}_*/**/*")]
    return {str(path) for path in maps if path.is_file()} | {str(path) for path in folder.glob("sksearch-*")}


@pytest.mark.parametrize("run", [measure, raise_on_five], ids=["returns", "raises"])
def test_nothing_is_left_behind(backend: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Once before: joblib keeps loky's workers, its manager thread and its resource tracker for later calls.
    search(measure, FixedSampler([{}] * 2), n_trials=2, n_jobs=2, delivery=fixed)
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    files, threads = leftovers(tmp_path), {thread.name for thread in threading.enumerate()}
    if run is raise_on_five:
        with pytest.raises(RuntimeError):
            search(run, FixedSampler([{}] * 30), n_trials=30, n_jobs=2, delivery=fixed)
    else:
        search(run, FixedSampler([{}] * 30), n_trials=30, n_jobs=2, delivery=fixed)
    assert leftovers(tmp_path) <= files
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = {thread.name for thread in threading.enumerate() if "Manager" not in thread.name} - threads
        if not left or all("QueueFeeder" in name for name in left):
            break
        time.sleep(0.05)
    assert not left or all("QueueFeeder" in name for name in left)


def loaded_payload(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    import sksearch.payload

    return [{**result, "error": str(list(sksearch.payload._loaded))} for result in measure(jobs)]


def test_a_worker_forgets_the_data_of_a_search_that_ended() -> None:
    with joblib.parallel_config(backend="loky"):
        history, _ = search(loaded_payload, FixedSampler([{}] * 4), n_trials=4, n_jobs=2, delivery=fixed)
        during = {fold.error for outcome in history.outcomes for fold in outcome.folds}
        assert len(during) == 1
        assert "sksearch-" in str(during)
        held = during
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and held != {"[]"}:
            time.sleep(0.2)
            held = {r[0]["error"] for r in joblib.Parallel(2)(joblib.delayed(loaded_payload)([JOB]) for _ in range(8))}
    assert held == {"[]"}


JOB = Job(Evaluation(Trial(0, {})), 0)


class Simulated:
    """A pool on a virtual clock: what is under way ends in an order Hypothesis chooses."""

    def __init__(self, n_workers: int, choose: Callable[[int], int]) -> None:
        self.n_workers = n_workers
        self._choose = choose
        self._under_way: list[Sequence[Job]] = []

    @property
    def free(self) -> int:
        return self.n_workers - len(self._under_way)

    @property
    def n_under_way(self) -> int:
        return len(self._under_way)

    @property
    def idle(self) -> bool:
        return not self._under_way

    def submit(self, unit: Sequence[Job]) -> None:
        self._under_way.append(unit)

    def next_done(self) -> list[FoldScore]:
        unit = self._under_way.pop(self._choose(len(self._under_way)))
        return [FoldScore(job=job, **raw) for job, raw in zip(unit, measure(unit), strict=True)]


@given(data=st.data(), n_workers=st.integers(2, 6), n_trials=st.integers(1, 15))
def test_whatever_the_order_of_arrival_a_seeded_search_is_the_same(data: Any, n_workers: int, n_trials: int) -> None:
    def run(choose: Callable[[int], int]) -> tuple[list[Any], list[Any]]:
        sampler, history = Watching(), History()
        scheduler = FullScheduler(sampler, n_trials)
        desk = Desk(scheduler, history, n_folds=2, objective=float, entropy=1, delivery=Delivery.in_order(n_workers))
        run_search(scheduler, Simulated(n_workers, choose), history, desk)  # type: ignore[arg-type]
        return sampler.seen, [(o.evaluation.trial.params, o.score) for o in history.outcomes]

    first = run(lambda n: 0)
    assert run(lambda n: data.draw(st.integers(0, n - 1))) == first
    assert len(first[1]) == n_trials


@given(data=st.data(), n_workers=st.integers(2, 6), n_trials=st.integers(1, 15))
def test_no_worker_is_idle_while_there_is_work_without_a_seed(data: Any, n_workers: int, n_trials: int) -> None:
    history = History()
    scheduler = FullScheduler(FixedSampler([{}] * n_trials), n_trials)
    pool = Simulated(n_workers, lambda n: data.draw(st.integers(0, n - 1)))
    waits: list[tuple[int, int]] = []
    pool_next = pool.next_done

    def next_done() -> list[FoldScore]:
        asked = sum(len(unit) for unit in pool._under_way) + 2 * len(history.outcomes)
        waits.append((pool.free, asked))
        return pool_next()

    pool.next_done = next_done  # type: ignore[method-assign]
    desk = Desk(scheduler, history, n_folds=2, objective=float, entropy=1, delivery=Delivery.on_arrival())
    run_search(scheduler, pool, history, desk)  # type: ignore[arg-type]
    # A worker is free at a wait only once every trial has been started.
    first_idle = next(index for index, (free, _) in enumerate([*waits, (1, 0)]) if free)
    assert len(waits) - first_idle <= n_workers
    assert len(history.outcomes) == n_trials


def test_the_history_refuses_what_cannot_be() -> None:
    history = History()
    first = Evaluation(Trial(0, {}))
    with pytest.raises(ValueError, match="trial 1 was asked before trial 0"):
        history.asked(Evaluation(Trial(1, {})))
    history.asked(first)
    with pytest.raises(ValueError, match="pending already"):
        history.asked(first)
    history.told(Outcome(evaluation=first, folds=(), score=1.0))
    with pytest.raises(ValueError, match="not pending"):
        history.told(Outcome(evaluation=first, folds=(), score=1.0))


class Pickled:
    """Counts how often it is pickled."""

    times = 0

    def __call__(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        return measure(jobs)

    def __getstate__(self) -> dict[str, Any]:
        Pickled.times += 1
        return {}


@pytest.mark.parametrize(("backend_name", "times"), [("threading", 0), ("loky", 1), ("multiprocessing", 1)])
def test_the_data_are_pickled_once_for_a_search(backend_name: str, times: int) -> None:
    Pickled.times = 0
    with joblib.parallel_config(backend=backend_name):
        history, _ = search(Pickled(), FixedSampler([{}] * 40), n_trials=40, n_jobs=2, delivery=fixed)
    assert len(history.outcomes) == 40
    assert Pickled.times == times


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_tiny_fits_travel_together_and_the_last_ones_alone(n_jobs: int) -> None:
    sizes: list[int] = []

    class Logging(JobPool):
        def submit(self, unit: Sequence[Job]) -> None:
            sizes.append(len(unit))
            super().submit(unit)

    history = History()
    scheduler = FullScheduler(FixedSampler([{}] * 400), 400)
    desk = Desk(scheduler, history, n_folds=5, objective=float, entropy=0, delivery=Delivery.fixed())
    with joblib.parallel_config(backend="threading"), Logging(measure, n_jobs=n_jobs) as pool:
        run_search(scheduler, pool, history, desk)
    assert sum(sizes) == 2000
    assert sizes[0] == 1
    assert max(sizes) >= 32
    assert sizes[-1] <= 2
    assert all(after <= 2 * before for before, after in itertools.pairwise(sizes))


@pytest.mark.parametrize("programs", [os.defpath, "/nowhere"])
def test_ctrl_c_while_workers_start_leaves_none_that_the_end_would_wait_for(programs: str) -> None:
    """Before loky's manager thread is there nobody else ends them; the process would wait for five minutes.

    Loky asks `pgrep` for the children of a worker.
    """
    code = """
from joblib.externals.loky.process_executor import ProcessPoolExecutor
from sklearn.datasets import load_iris
from sklearn.svm import SVC
from sksearch import GridSearchCV

def pressed(self):
    assert self._processes
    raise KeyboardInterrupt

ProcessPoolExecutor._start_executor_manager_thread = pressed
try:
    GridSearchCV(SVC(), {"C": [1, 2]}, n_jobs=2).fit(*load_iris(return_X_y=True))
except KeyboardInterrupt:
    print("interrupted")
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        env=os.environ | {"PATH": programs},
    )
    assert "interrupted" in run.stdout.splitlines()  # beside what workers of older versions of joblib print
