"""Where the work runs, and the only loop: `JobPool` over joblib's backends, and `run_search`.

A *unit* is the list of jobs that travels to a worker together. The pool knows nothing of
scikit-learn: it is given a picklable callable that turns a list of prepared jobs into a list of
results. Strict ask-after-tell holds on every backend: work goes out one unit at a time through the
backend's own `submit`, never ahead through `joblib.Parallel.__call__`, which pulls its input early.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import joblib
import numpy as np
from joblib._memmapping_reducer import _get_backing_memmap, _reduce_memmap_backed
from joblib._parallel_backends import LokyBackend, MultiprocessingBackend
from joblib.externals.loky.process_executor import TerminatedWorkerError
from joblib.parallel import BatchedCalls

from sksearch.payload import SharedPayload
from sksearch.processes import end_workers, ended_by_loky, some_died
from sksearch.pruning import FoldRule, RuleOf
from sksearch.schedulers.protocol import Scheduler
from sksearch.trials import Evaluation, FoldScore, History, Job, Outcome, Scores
from sksearch.underway import UnderWay

Raw: TypeAlias = dict[str, Any]
"""The fields of a `FoldScore` without its job, as they come back from a worker."""

RunUnit: TypeAlias = Callable[[Sequence[Any]], list[Raw]]
"""What a worker calls: prepared jobs in, one `Raw` for each out, in order."""

StopReason: TypeAlias = Literal["budget", "exhausted", "callback"]

Stop: TypeAlias = Callable[[History], StopReason | None]
"""A stopping rule, asked after each delivery; with a reason the search asks for nothing more."""

AfterEach: TypeAlias = Callable[[History, Evaluation, set[int]], None]
"""What hears of each outcome, and of each fold that comes after it: see `Desk`."""

_logger = logging.getLogger("sksearch")

UNIT_SECONDS = 0.05
"""Aim for units of this length: sending one costs about 1 ms, so the overhead stays near 2 %."""

UNCERTAIN_SHARE = 10
"""Units of folds that may turn out superfluous are this much shorter: running one must cost no more than sending it.

Measured with 50 trials, fits of 5 ms and two workers: 102 fits of which 99 counted, against 250 with units of full
length.
"""

NOTICEABLE_SHARE = 0.02
"""Where deciding takes more than this share of the time of the fits, work is sent before a worker is idle."""


def reduce_memory_map(obj: Any) -> Any:
    """Send an array on top of a memory map as the name of its file, as joblib does: it may be larger than memory."""
    backing = _get_backing_memmap(obj) if isinstance(obj, np.ndarray) else None
    return None if backing is None else _reduce_memmap_backed(obj, backing)


def _lost(message: str) -> Raw:
    return {"test_scores": math.nan, "fit_time": 0.0, "score_time": 0.0, "error": message}


class JobPool:
    """Workers of one joblib backend, as a context manager.

    The backend and the number of workers are those that `joblib.Parallel(n_jobs=n_jobs)` would use
    here, so `joblib.parallel_config` applies. With one worker everything runs inline.

    Parameters
    ----------
    run : callable
        Picklable; takes a list of prepared jobs, returns a list of `Raw` of the same length.
    n_jobs : int or None, default=None
        As everywhere in joblib.
    prepare : callable, default=None
        Called in the submitting thread: turns a job into what `run` gets. None: the job itself.
    lost : callable, default=None
        Called with a message: the `Raw` of a job whose worker process died. None: a score of nan.

    Notes
    -----
    Up to two units for each worker are under way: one that runs, and one that is there when it
    ends, so that sending takes no time from the worker.

    The callable, with the data in it, is sent once for each pool and not with each job: threads
    share it, and worker processes of this machine load it from a file (arrays over 1 MB as
    read-only memory maps, as in joblib). Other backends get it with each unit.
    """

    def __init__(
        self,
        run: RunUnit,
        *,
        n_jobs: int | None = None,
        prepare: Callable[[Job], Any] | None = None,
        lost: Callable[[str], Raw] | None = None,
    ) -> None:
        self._run = run
        self._prepare = prepare
        self._lost = lost or _lost
        self._parallel: Any = joblib.Parallel(n_jobs=n_jobs)
        self._payload: SharedPayload | None = None
        self._sent: RunUnit = run
        self._reducer_callback: Callable[[], None] | None = None
        self._in_flight: dict[int, Sequence[Job]] = {}
        self._refused = False
        self._n_units = 0
        self._done: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._suspects: deque[Job] = deque()
        self._alone = False
        self._cancelled = threading.Event()
        self._workers = set[Any]()

    def __enter__(self) -> Self:
        """Start the workers, or find them running."""
        self._parallel.__enter__()
        try:
            self.n_workers: int = self._parallel._effective_n_jobs()
            self.inline: bool = self.n_workers == 1
            self.shares_memory: bool = self.inline or getattr(self._parallel._backend, "supports_sharedmem", False)
            self._capacity = 1 if self.inline else 2 * self.n_workers
            if not self.inline:
                self._open_call()
        except BaseException:
            try:
                self._parallel.__exit__(None, None, None)
            finally:
                self._close_payload()
            raise
        return self

    def _open_call(self) -> None:
        """Open a call on the backend, and put the callable where its workers find it."""
        parallel, backend = self._parallel, self._parallel._backend
        if isinstance(backend, (LokyBackend, MultiprocessingBackend)):
            # Before joblib 1.5 they were called _backend_args.
            settings = getattr(parallel, "_backend_kwargs", None) or parallel._backend_args
            self._payload = SharedPayload(
                self._run,
                mapped_bytes=settings.get("max_nbytes"),
                mmap_mode=settings.get("mmap_mode"),
                folder=settings.get("temp_folder"),
                reduce=reduce_memory_map,
            )
            self._sent = self._payload.handle
        elif self.shares_memory:
            self._sent = self._run_unless_cancelled
        if isinstance(backend, LokyBackend):
            # Loky's reducers put memory maps of large arguments into a folder that belongs to one Parallel object;
            # without this callback they leak (a warning in 12 of 12 runs, in none of 9 with it).
            def set_memmap_context() -> None:
                backend._workers._temp_folder_manager.set_current_context(parallel._id)

            self._reducer_callback = set_memmap_context
        self._some_died()
        if hasattr(backend, "start_call"):
            backend.start_call()
        parallel._calling = True

    def _run_unless_cancelled(self, prepared: Sequence[Any]) -> list[Raw]:
        """In threads, which nothing can end: start no further job once the search is over."""
        results: list[Raw] = []
        for job in prepared:
            if self._cancelled.is_set():
                break
            results += self._run([job])
        return results

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what still runs, and leave nothing but joblib's reusable workers."""
        self._cancelled.set()
        try:
            if not self.inline and (self._in_flight or isinstance(self._parallel._backend, MultiprocessingBackend)):
                self._abort()
        finally:
            try:
                self._parallel.__exit__(kind, error, trace)
            finally:
                self._close_payload()

    def _close_payload(self) -> None:
        if self._payload is not None:
            self._payload.close()

    def _abort(self) -> None:
        """End what is under way: kill processes; threads end with the job they are in."""
        backend = self._parallel._backend
        if isinstance(backend, MultiprocessingBackend):
            self._end_workers(backend)
        with ended_by_loky(backend._workers) if isinstance(backend, LokyBackend) else contextlib.nullcontext():
            backend.abort_everything(ensure_ready=False)

    @property
    def free(self) -> int:
        """How many units can be submitted now."""
        return 0 if self._alone else self._capacity - len(self._in_flight)

    @property
    def n_under_way(self) -> int:
        """Units that run or wait at a worker."""
        return len(self._in_flight)

    @property
    def idle(self) -> bool:
        """Whether no unit is under way."""
        return not self._in_flight

    def submit(self, unit: Sequence[Job]) -> None:
        """Hand a unit to a worker; returns at once (inline: the work is done in `next_done`)."""
        number, done = self._n_units, self._done
        self._n_units += 1
        self._in_flight[number] = unit
        if self.inline:
            return
        backend = self._parallel._backend
        call = BatchedCalls(
            [(self._sent, (self._prepared(unit),), {})], backend.get_nested_backend(), self._reducer_callback
        )
        submit = getattr(backend, "submit", None) or backend.apply_async
        try:
            submit(call, callback=lambda out: done.put((number, out)))
        except TerminatedWorkerError as error:  # a worker died since the last result: the unit is lost like the others
            self._refused = True
            refused: Future[Any] = Future()
            refused.set_exception(error)
            done.put((number, refused))

    def _prepared(self, unit: Sequence[Job]) -> Sequence[Any]:
        return unit if self._prepare is None else [self._prepare(job) for job in unit]

    def next_done(self) -> list[FoldScore]:
        """Wait for a unit, and return its results.

        An exception that the callable let through is raised here. Units that were lost with a dead
        worker process are run again, job by job and with nothing beside them; a job that takes its
        worker down a second time comes back as failed.
        """
        if self.inline:
            number, unit = next(iter(self._in_flight.items()))
            results = self._run(self._prepared(unit))
        else:
            try:
                number, out = self._wait()
                results = self._parallel._backend.retrieve_result_callback(out)[0]
            except TerminatedWorkerError as error:
                return self._recover(error)
            unit = self._in_flight[number]
        del self._in_flight[number]
        self._run_suspect()
        return [FoldScore(job=job, **raw) for job, raw in zip(unit, results, strict=True)]

    def _wait(self) -> tuple[int, Any]:
        """The next finished unit. Wakes up now and then: on Windows an endless wait is deaf to Ctrl-C.

        Whether all workers live is looked at only when nothing has come for a while, as what is under way is lost then.
        """
        while True:
            with contextlib.suppress(queue.Empty):
                return self._done.get(timeout=1.0)
            if self._some_died():
                raise TerminatedWorkerError("A worker process of multiprocessing's pool has ended.")

    def _some_died(self) -> bool:
        """Of a pool that replaces dead workers without a word; other backends tell. Called first when all live."""
        backend = self._parallel._backend
        return isinstance(backend, MultiprocessingBackend) and some_died(backend._get_pool(), self._workers)

    def _end_workers(self, backend: MultiprocessingBackend) -> None:
        if (pool := backend._get_pool()) is not None:  # it is not while the pool is built anew
            end_workers(pool)
        self._workers.clear()

    def _recover(self, error: TerminatedWorkerError) -> list[FoldScore]:
        """Rebuild the workers; whatever was under way may have killed one, a job that ran alone did."""
        lost = [job for unit in self._in_flight.values() for job in unit]
        guilty = lost if self._alone and not self._refused else []
        self._suspects.extendleft(() if guilty else reversed(lost))
        self._in_flight.clear()
        self._refused = False
        self._done = queue.SimpleQueue()  # a broken pool fails every unit under way: those callbacks go nowhere
        backend = self._parallel._backend
        if isinstance(backend, MultiprocessingBackend):
            self._end_workers(backend)
        backend.abort_everything(ensure_ready=True)
        self._some_died()
        self._run_suspect()
        message = f"The worker process died, twice, while it ran this fit.\n{type(error).__name__}: {error}"
        return [FoldScore(job=job, **self._lost(message)) for job in guilty]

    def _run_suspect(self) -> None:
        """Run the next suspect with nothing beside it."""
        self._alone = bool(self._suspects)
        if self._alone:
            self.submit([self._suspects.popleft()])


@dataclass(frozen=True, slots=True)
class Delivery:
    """When an outcome reaches the history, and when the next evaluation is asked.

    With an int seed (`in_order`) the history must not depend on timing: ask k waits until the
    outcomes up to k - window have been delivered, and sees no later one. Without one (`on_arrival`)
    every outcome is delivered at once, and workers never wait. Where no decision depends on an
    outcome (`fixed`), delivery is in order and asking never waits.
    """

    adaptive: bool
    ordered: bool
    window: int | None = None

    @classmethod
    def fixed(cls) -> Delivery:
        """For candidates that are known beforehand."""
        return cls(adaptive=False, ordered=True)

    @classmethod
    def on_arrival(cls) -> Delivery:
        """For utilisation."""
        return cls(adaptive=True, ordered=False)

    @classmethod
    def in_order(cls, window: int) -> Delivery:
        """For reproducibility; `window` evaluations may be under way."""
        return cls(adaptive=True, ordered=True, window=window)


class Desk:
    """What was asked and is not delivered: it feeds the pool and collects from it.

    Jobs leave in the order of asking, folds of one evaluation together, so few evaluations are
    under way at once and the sampler knows almost everything. With a rule that stops evaluations
    they leave fold by fold (`_next_folds`), and what comes back of an evaluation after its outcome
    was decided is discarded. `after_each` is called with the history, an evaluation that was delivered, or of
    which such a fold came back, and the numbers of the trials that have folds at the workers.

    Once the stopping rule gives a reason nothing more is asked; what was asked is run to its end, so
    that with a seed the result does not depend on how far it was. The rule hears of those outcomes, too.
    """

    stop_reason: StopReason | None = None

    def __init__(
        self,
        scheduler: Scheduler,
        history: History,
        *,
        n_folds: int,
        objective: Callable[[Scores], float],
        entropy: int,
        delivery: Delivery,
        rule_of: RuleOf | None = None,
        speculate: bool = True,
        stop: Stop | None = None,
        after_each: AfterEach | None = None,
    ) -> None:
        if rule_of is not None and not delivery.adaptive:
            raise ValueError("a rule decides by outcomes, and Delivery.fixed() waits for none; use Delivery.in_order.")
        self._scheduler = scheduler
        self._history = history
        self._n_folds = n_folds
        self._objective = objective
        self._entropy = entropy
        self._delivery = delivery
        self._rule_of = rule_of
        self._speculate = speculate
        self._rules_at, self._rules = -1, dict[Evaluation, FoldRule | None]()
        self._stop = stop
        self._after_each = after_each
        self._jobs: deque[Job] = deque()
        self._at_workers: Counter[int] = Counter()
        self._under_way: dict[Evaluation, UnderWay] = {}
        self._complete: dict[Evaluation, Outcome] = {}
        self._nothing_to_ask_at: int | None = None
        self._seconds = 0.0
        self._n_measured = 0
        self._deciding = 0.0
        self._unit_size = 1
        self._origin = time.monotonic()

    def next_unit(self, n_workers: int, n_under_way: int) -> list[Job]:
        """Jobs for one worker, given the units under way; empty when nothing can start before the next outcome.

        Where decisions depend on outcomes, nothing that waits for one is sent before a worker would idle, or,
        where deciding takes noticeable time (`NOTICEABLE_SHARE`), before no unit waits at the workers any more;
        and the next evaluation is asked only once no job of the earlier ones is left. Elsewhere asking runs
        ahead, to see where the search ends.
        """
        start = time.perf_counter()
        size = self._next_size() if n_workers > 1 else 1
        idle = n_under_way < n_workers
        wanted = idle or (n_under_way == n_workers and self._deciding_is_noticed)
        if self._rule_of is None:
            unit = self._next_jobs(size, n_workers, wanted=wanted)
        else:
            unit = self._next_folds(size, wanted=wanted, idle=idle)
        now = self._now()
        for job in unit:
            under_way = self._under_way[job.evaluation]
            under_way.start_time = min(now, under_way.start_time)
            self._at_workers[job.evaluation.trial.number] += 1
        self._deciding += time.perf_counter() - start
        return unit

    @property
    def _deciding_is_noticed(self) -> bool:
        """Whether a unit is to wait at the workers; not where a fold that does not count could end the search."""
        harmless = self._speculate or self._rule_of is None
        return harmless and self._n_measured > 0 and self._deciding > NOTICEABLE_SHARE * self._seconds

    def _next_jobs(self, size: int, n_workers: int, *, wanted: bool) -> list[Job]:
        """All folds of an evaluation, then all of the next."""
        enough = 2 * size * n_workers if not self._delivery.adaptive else int(wanted)
        while len(self._jobs) < enough and self._ask():
            pass
        if not self._delivery.adaptive:
            # Near the end, smaller units: no worker should hold the last jobs while others are idle.
            size = min(size, 1 + len(self._jobs) // (2 * n_workers))
        return [self._jobs.popleft() for _ in range(min(size, len(self._jobs)))]

    def _next_folds(self, size: int, *, wanted: bool, idle: bool) -> list[Job]:
        """Folds that will be needed, as far as can be known.

        First those of evaluations that nothing can stop yet; then the next fold of the oldest
        evaluation that has none running; then a new evaluation (so about as many as workers, or one more, are
        under way); and only then, rather than have a worker idle, a fold that an earlier one may make
        superfluous (but not with `speculate` off: one that raises would end the search although it may not
        count). None of the last kind is sent while all workers are busy: with second units the
        same 99 folds took 11.4 s in place of 8.9 (fits of 150 ms, two workers), because half as many again
        were run and discarded.
        """
        unit: list[Job] = []
        for under_way in self._under_way.values():
            if under_way.certain:
                unit += under_way.take(size - len(unit))
        if unit or not wanted:
            return unit
        waiting = [under_way for under_way in self._under_way.values() if under_way.waits]
        chosen = next((under_way for under_way in waiting if not under_way.running), None)
        if chosen is None and self._ask():
            chosen = next(reversed(self._under_way.values()))
        if not self._speculate:
            return chosen.take(1) if chosen else []
        if chosen is None and waiting and idle:
            chosen = waiting[0]
        return chosen.take(max(1, size // UNCERTAIN_SHARE)) if chosen else []

    def _next_size(self) -> int:
        """Jobs for a unit of about `UNIT_SECONDS`, at most twice as many as last time."""
        if self._n_measured:
            mean = max(self._seconds / self._n_measured, 1e-6)
            self._unit_size = max(1, min(2 * self._unit_size, int(UNIT_SECONDS / mean)))
        return self._unit_size

    def _ask(self) -> bool:
        """Ask for one evaluation; False when there is none to start before the next outcome."""
        history, window = self._history, self._delivery.window
        if self._delivery.ordered and window is not None:
            while len(history.outcomes) <= len(history.evaluations) - window:
                if not self._deliver_next():
                    return False
        elif self._nothing_to_ask_at == (len(history.outcomes) if self._delivery.adaptive else -1):
            return False
        while self.stop_reason is None:
            if (evaluation := self._scheduler.ask(history, self._rng(len(history.trials)))) is not None:
                break
            self._nothing_to_ask_at = len(history.outcomes) if self._delivery.adaptive else -1
            if window is None or not self._deliver_next():
                return False
        else:
            return False
        history.asked(evaluation)
        _logger.debug("asked: %s", evaluation)
        self._start(evaluation)
        return True

    def _start(self, evaluation: Evaluation) -> None:
        """Have its folds sent; with ordered delivery the rule for them is that of this moment, whatever comes later."""
        if self._rule_of is None:
            self._under_way[evaluation] = under_way = UnderWay(evaluation, self._n_folds)
            self._jobs.extend(under_way.take(self._n_folds))
        elif self._delivery.ordered:
            rule = self._rule(self._rule_of, evaluation)
            self._under_way[evaluation] = UnderWay(evaluation, self._n_folds, lambda: rule, in_order=True)
        else:
            current = partial(self._rule, self._rule_of, evaluation)
            self._under_way[evaluation] = UnderWay(evaluation, self._n_folds, current)

    def _rule(self, rule_of: RuleOf, evaluation: Evaluation) -> FoldRule | None:
        """The rule for an evaluation given the history as it is."""
        n_outcomes = len(self._history.outcomes)
        if self._rules_at != n_outcomes:
            self._rules_at, self._rules = n_outcomes, {}
        if evaluation not in self._rules:
            self._rules[evaluation] = rule_of(self._history, evaluation)
        return self._rules[evaluation]

    def _rng(self, number: int) -> np.random.Generator:
        """The randomness of trial `number`: it does not depend on how many draws came before."""
        return np.random.default_rng(np.random.SeedSequence(self._entropy, spawn_key=(number,)))

    def collect(self, score: FoldScore) -> None:
        """Take in a fold; deliver what can be delivered."""
        start = time.perf_counter()
        self._collect(score)
        self._deciding += time.perf_counter() - start

    def _collect(self, score: FoldScore) -> None:
        self._seconds += score.fit_time + score.score_time
        self._n_measured += 1
        evaluation = score.job.evaluation
        self._at_workers[evaluation.trial.number] -= 1
        under_way = self._under_way.get(evaluation)
        if under_way is None:
            _logger.debug("discarded: fold %d of trial %d", score.job.fold, evaluation.trial.number)
            self._report(evaluation)
            return
        under_way.collect(score, math.nan if score.error is not None else self._objective(score.test_scores))
        if not under_way.decided:
            return
        del self._under_way[evaluation]
        self._complete[evaluation] = under_way.outcome(self._now())
        if not self._delivery.ordered:
            self._tell(self._complete.pop(evaluation))
        elif not self._delivery.adaptive:
            while self._deliver_next():
                pass

    def drain(self, *, aborted: bool = False) -> None:
        """Deliver every complete outcome, in order: nothing more will be asked. `aborted`: behind the rule's back."""
        if aborted:
            self._stop = None
        for evaluation in [asked for asked in self._history.pending if asked in self._complete]:
            self._tell(self._complete.pop(evaluation))

    def _tell(self, outcome: Outcome) -> None:
        self._history.told(outcome)
        _logger.debug("told: trial %d, %s, score %r", outcome.evaluation.trial.number, outcome.status, outcome.score)
        self._report(outcome.evaluation)
        if self._stop is not None:
            reason = self._stop(self._history)
            self.stop_reason = self.stop_reason or reason

    def _report(self, evaluation: Evaluation) -> None:
        if self._after_each is not None:
            self._after_each(self._history, evaluation, set(+self._at_workers))

    def _deliver_next(self) -> bool:
        """Deliver the outcome that is next in the order of asking, if it is complete."""
        done = len(self._history.outcomes)
        if done == len(self._history.evaluations):
            return False
        outcome = self._complete.pop(self._history.evaluations[done], None)
        if outcome is None:
            return False
        self._tell(outcome)
        return True

    def _now(self) -> float:
        return time.monotonic() - self._origin


def run_search(scheduler: Scheduler, pool: JobPool, history: History, desk: Desk) -> StopReason:
    """Run evaluations until the scheduler has no more; the history then holds every outcome.

    When the loop is left by an exception, Ctrl-C among them, what was complete is in the history.
    """
    try:
        while True:
            while pool.free and (unit := desk.next_unit(pool.n_workers, pool.n_under_way)):
                pool.submit(unit)
            if pool.idle:
                desk.drain()
                if desk.stop_reason is not None:
                    return desk.stop_reason
                return "budget" if scheduler.done(history) else "exhausted"
            for score in pool.next_done():
                desk.collect(score)
    finally:
        desk.drain(aborted=True)
