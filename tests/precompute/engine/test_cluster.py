"""Builds on distributed schedulers: the build's own, and one whose workers were started apart."""

import json
import os
import signal
import time

import pytest
from distributed import Client
from toy_steps import TABLE, contents, graph

from precompute.engine.run import BuildError, run
from precompute.steps.step import Step
from precompute.store import Store

pytestmark = pytest.mark.alone


@pytest.fixture
def expected(tmp_path):
    """What a build in this process makes."""
    store = Store(tmp_path / "expected", bundles=())
    assert run(graph(sleep=0.05), store, table=TABLE).ok
    return contents(store)


def lines(log):
    return log.read_text().splitlines()


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_own_cluster(store, expected, log, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("precompute.engine.cluster.CPU_COUNT", 6)
    events = []
    report = run(graph(sleep=0.05), store, table=TABLE, workers=2, on_event=events.append)
    assert report.ok
    assert len(report.built) == 5
    assert contents(store) == expected
    assert any(event.kind == "progress" and event.name == "b/square" and event.done for event in events)
    place = Step("place", "place", 1)
    broken = run([*graph(sleep=0.05, broken=True), place], store, table=TABLE, workers=2)
    assert broken.failed == {"a/square": "ValueError: the toy is broken"}
    assert "in fail" in broken.traces["a/square"]
    assert store.load(place.key).facts["threads"] == "3"


@pytest.fixture
def scheduler(processes, tmp_path):
    file = tmp_path / "scheduler.json"
    options = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    processes("-m", "distributed.cli.dask_scheduler", *options, "--scheduler-file", file)
    wait_for(lambda: file.exists() and file.read_text().rstrip().endswith("}"))
    return json.loads(file.read_text())["address"]


@pytest.fixture
def worker(processes, scheduler, tmp_path):
    options = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", tmp_path)

    def start(*more):
        return processes("-m", "distributed.cli.dask_worker", scheduler, *options, *more)

    return start


def test_worker_killed_in_the_middle_of_a_step(
    scheduler, worker, store, expected, log, tmp_path, monkeypatch
):
    order = tmp_path / "die"
    order.touch()
    log.write_text("")
    monkeypatch.setenv("TOY_DIE", str(order))
    workers = [worker(), worker()]
    report = run(graph(sleep=0.05), store, table=TABLE, scheduler=scheduler)
    assert report.ok
    assert contents(store) == expected
    assert sorted(process.poll() is None for process in workers) == [False, True]
    shards = [line for line in lines(log) if line.startswith("shard")]
    assert len(shards) == len(set(shards)) == 11  # none of the dead worker's is computed again


def test_gpu_steps_go_to_workers_that_offer_one(scheduler, worker, store):
    def places(count, first=0):
        steps = [Step(f"s{i}", "place", 1, {"i": first + i}, gpu=True) for i in range(count)]
        assert run(steps, store, table=TABLE, scheduler=scheduler).ok
        return {store.load(step.key).facts["pid"] for step in steps}

    plain = worker()
    assert places(1) == {plain.pid}
    gpu = worker("--resources", "GPU=1")
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
    assert places(6, first=1) == {gpu.pid}


def test_step_that_kills_its_workers_fails(monkeypatch, request, store):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    address, worker = (request.getfixturevalue(name) for name in ("scheduler", "worker"))
    worker()
    deadly = Step("deadly", "die", 1)
    report = run([Step("after", "total", 1, inputs={"x": deadly})], store, table=TABLE, scheduler=address)
    assert list(report.failed) == ["deadly"]
    assert "died while running it" in report.failed["deadly"]
    assert list(report.not_run) == ["after"]


def test_interrupt_stops_running_steps(scheduler, worker, store, log):
    def interrupt(event):
        if event.kind == "built":
            raise KeyboardInterrupt

    worker(), worker()
    steps = graph(sleep=0.3)
    with pytest.raises(KeyboardInterrupt):
        run(steps, store, table=TABLE, scheduler=scheduler, on_event=interrupt)
    time.sleep(3)  # what a square takes, if it is let
    assert not any(store.has(step.key) for step in steps[2:])
    report = run(steps, store, table=TABLE, scheduler=scheduler)
    assert report.ok
    shards = [line for line in lines(log) if line.startswith("shard")]
    assert len(shards) == len(set(shards)) == 11


def test_scheduler_that_goes_away_ends_the_build(scheduler, worker, store, log):
    worker()
    with Client(scheduler, set_as_default=False) as client:
        pid = client.run_on_scheduler(os.getpid)

    def kill(event):
        if event.kind == "built":
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(BuildError, match=f"expected the scheduler at {scheduler} to stay"):
        run(graph(sleep=0.3), store, table=TABLE, scheduler=scheduler, on_event=kill)


def test_build_without_scheduler_or_workers_says_so(scheduler, store, monkeypatch):
    monkeypatch.setattr("precompute.engine.cluster.WORKERS_SECONDS", 0.5)
    monkeypatch.setattr("precompute.engine.cluster.CONNECT_SECONDS", 0.5)
    with pytest.raises(BuildError, match=f"expected workers at {scheduler}, got none"):
        run(graph(), store, table=TABLE, scheduler=scheduler)
    with pytest.raises(BuildError, match=r"expected a scheduler at tcp://127\.0\.0\.1:1, got"):
        run(graph(), store, table=TABLE, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(BuildError, match="expected a scheduler at nonsense://x, got"):
        run(graph(), store, table=TABLE, scheduler="nonsense://x")
