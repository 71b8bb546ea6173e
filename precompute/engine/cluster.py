"""Runs tasks on a distributed scheduler: one that is running, or one of this build's own."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple
from functools import partial

import dask.config
from dask.system import CPU_COUNT
from distributed import (
    CancelledError,
    Client,
    Future,
    KilledWorker,
    LocalCluster,
    Worker,
    WorkerPlugin,
    as_completed,
    get_worker,
)

from precompute.engine.task import BuildError, Event, Result, Task, execute, stop

CONNECT_SECONDS = 20
WORKERS_SECONDS = 60
ALLOCATOR = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
KEEP_BYTES = str(2**30)


def run_on_cluster(
    tasks: Mapping[str, Task],
    settle: Callable[[Result], None],
    tell: Callable[[Event], object],
    *,
    workers: int | None,
    scheduler: str | None,
) -> None:
    """Run tasks where they depend on each other through their recipes' inputs.

    A worker that dies has its steps run again elsewhere, up to the scheduler's `allowed-failures`. Steps for
    a GPU go to workers that offer the resource `GPU`, when there are any.

    Args:
        tasks: Tasks by key, inputs first.
        settle: Called with each result, in this thread.
        tell: Called with the events of running steps, in another thread.
        workers: Number of processes to start; unused with a scheduler.
        scheduler: Address of a running scheduler.
    Raises: BuildError: when there is no such scheduler, it has no workers, or it goes away.
    """
    with _client(workers, scheduler) as client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError:
            raise BuildError(
                f"expected workers at {scheduler}, got none; start `dask worker {scheduler} --nthreads 1`"
            ) from None
        offers = client.scheduler_info(n_workers=-1)["workers"].values()
        gpu = any(offer["resources"].get("GPU") for offer in offers)
        build = next(iter(tasks.values())).build
        client.subscribe_topic(build, lambda event: tell(Event(*event[1])))
        futures: dict[str, Future[Result]] = {}
        names: dict[str, Task] = {}
        for key, task in tasks.items():
            # Of this build alone: what another build's task of that name gave may be a failure.
            name = f"{task.step.function}-{key}-{build}"
            resources = {"GPU": 1} if task.step.gpu and gpu else None
            call = partial(execute, task, partial(_tell, build))
            futures[key] = client.submit(
                call, task.upstream(futures), key=name, resources=resources, pure=False
            )
            names[name] = task
        try:
            for future in as_completed(futures.values(), loop=client.loop):
                settle(_result(names[str(future.key)], future, scheduler))
        except KeyboardInterrupt:
            with suppress(Exception):  # on the way out; what cannot be reached need not be stopped
                client.run(stop, build)
            raise


def _tell(build: str, event: Event) -> None:
    """Send an event from a worker to the client of that build."""
    get_worker().log_event(build, astuple(event))


def _result(task: Task, future: Future[Result], scheduler: str | None) -> Result:
    """How a task ended; one that raised did so because its workers died, as steps' errors are results."""
    try:
        return future.result()
    except KilledWorker as error:
        if error.task == future.key:
            return Result(task.step.key, task.step.name, "failed", str(error))
        return Result(task.step.key, task.step.name, "not run", f"an input failed: {error}")
    except (OSError, CancelledError):
        raise BuildError(
            f"expected the scheduler at {scheduler} to stay, it went away; build again to continue"
        ) from None


@contextmanager
def _client(workers: int | None, scheduler: str | None) -> Generator[Client]:
    """A client of the scheduler at that address, or of a new cluster of this many processes."""
    if scheduler:
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BuildError(
                f"expected a scheduler at {scheduler}, got {error}; start `dask scheduler`"
            ) from None
        with client:
            yield client
        return
    count = workers or 1
    threads = str(max(1, CPU_COUNT // count))
    libraries = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Each process gets its share of the cores. Dask has freed memory go back to the system at once; every
    # operation of an attack would then pay for fresh pages again, and take twice the time. Variables set in
    # the environment win over these.
    variables = dict.fromkeys(libraries, threads) | dict.fromkeys(ALLOCATOR, KEEP_BYTES)
    with (
        dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": v for name, v in variables.items()}),
        # Steps may need much memory, so that no limit makes a nanny kill them.
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(_IgnoreInterrupts())
        yield client


class _IgnoreInterrupts(WorkerPlugin):
    """Leaves Ctrl-C, which a terminal sends to every process, to the one that started the cluster."""

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - the interface's
        signal.signal(signal.SIGINT, signal.SIG_IGN)
