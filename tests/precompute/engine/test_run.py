"""Builds in this process, and what becomes of those that are killed, repeated or doubled."""

import pytest
import toy_steps
from toy_steps import TABLE, contents, graph

from precompute.engine.run import BuildError, run
from precompute.steps.job import Job, Stopped
from precompute.steps.step import Step
from precompute.store import Store

pytestmark = pytest.mark.slow

NAMES = ["a/count", "a/square", "b/count", "b/square", "total"]


def build(store, steps=None, **options):
    return run(graph() if steps is None else steps, store, table=TABLE, **options)


def lines(log):
    return log.read_text().splitlines()


@pytest.mark.parametrize("url", ["local", "memory://test_engine"])
def test_build_makes_everything_and_tells(url, tmp_path, log):
    store = Store(tmp_path / "s" if url == "local" else url, bundles=())
    events = []
    report = build(store, on_event=events.append, origin={"dataset": "toy", "profile": "smoke"})
    assert (sorted(report.built), report.hits, report.ok) == (NAMES, [], True)
    keys = {step.name: step.key for step in graph()}
    assert store.load(keys["total"]).facts == {
        "total": sum(i * i for i in range(10)) + sum(i * i for i in range(11))
    }
    assert store.load(keys["a/square"]).tables["squares"]["y"].tolist() == [i * i for i in range(10)]
    origin = store.manifest(keys["total"])["origin"]
    assert (origin["dataset"], origin["profile"], origin["name"]) == ("toy", "smoke", "total")
    assert origin["seconds"] >= 0
    assert (events[0].kind, events[0].done, events[0].total) == ("plan", 0, 5)
    assert sorted(event.name for event in events if event.kind == "built") == NAMES
    assert any(event.kind == "progress" and (event.name, event.done) == ("a/square", 10) for event in events)
    assert [file.name for file in store.folder.files() if not file.name.startswith("artifacts/")] == []


def test_second_build_does_nothing(store, log):
    build(store)
    before = lines(log)
    report = build(store)
    assert (report.built, sorted(report.hits)) == ([], NAMES)
    assert lines(log) == before


def test_only_what_changed_is_built(store, log):
    build(store)
    report = build(store, graph(n=6))
    assert sorted(report.built) == ["a/count", "a/square", "total"]
    assert sorted(report.hits) == ["b/count", "b/square"]


def test_only_what_is_needed_is_built(store, log):
    steps = graph()
    assert build(store, steps[2:3]).built == ["a/count", "a/square"]
    store.own.remove(steps[0].key)
    report = build(store, steps[2:3])
    assert (report.built, report.hits) == ([], ["a/square"])


def test_damaged_artifact_is_built_again_and_nothing_else(store, log):
    build(store)
    expected = contents(store)
    key = graph()[2].key
    folder = store.own.folder / key
    for name in folder.names():
        folder.write(name, folder.read(name)[:-9])
        report = build(store)
        assert report.built == ["a/square"]
        assert contents(store) == expected


def test_failing_step_stops_only_what_depends_on_it(store):
    report = build(store, graph(broken=True))
    assert not report.ok
    assert sorted(report.built) == ["a/count", "b/count", "b/square"]
    assert report.failed == {"a/square": "ValueError: the toy is broken"}
    assert report.not_run == {"total": "a/square failed: ValueError: the toy is broken"}
    assert "in fail" in report.traces["a/square"]
    again = build(store, graph(broken=True))
    assert (again.built, sorted(again.hits)) == ([], ["a/count", "b/count", "b/square"])


def test_cause_is_told_across_several_steps(store):
    first = Step("first", "fail", 1)
    second = Step("second", "total", 1, inputs={"x": first})
    third = Step("third", "total", 1, inputs={"x": second})
    report = build(store, [third])
    assert report.not_run["third"] == "first failed: ValueError: the toy is broken"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Step("s", "count", 2, {"n": 1}), "expected version 2 of count, got 1"),
        (Step("s", "cuont", 1), "expected a step function of toy_steps:functions, got 'cuont'"),
    ],
)
def test_steps_that_the_table_lacks_fail(store, step, message):
    assert message in build(store, [step]).failed["s"]


def test_names_are_unambiguous(store):
    with pytest.raises(ValueError, match="expected one step of the name 's'"):
        build(store, [Step("s", "count", 1, {"n": 1}), Step("s", "count", 1, {"n": 2})])


def test_memory_store_is_refused_to_workers():
    with pytest.raises(BuildError, match="got one in memory"):
        build(Store("memory://test_engine_workers", bundles=()), workers=2)


def test_progress_stops_a_stopped_job(store):
    told = []
    job = Job(store.workspace("k"), lambda *news: told.append(news))
    job.progress(1, 3, "a")
    job.progress(2, 3, "too soon to tell")
    job.progress(3, 3, "b")
    assert told == [(1, 3, "a"), (3, 3, "b")]
    job.stopped = lambda: True
    with pytest.raises(Stopped):
        job.progress(3, 3)


def test_interrupted_build_goes_on_where_it_was(store, log):
    def interrupt(event):
        if (event.name, event.done) == ("a/square", 10):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(store, on_event=interrupt)
    shards = [line for line in lines(log) if line.endswith("of 10")]
    assert len(shards) == 5
    assert "total" in build(store).built
    assert [line for line in lines(log) if line.endswith("of 10")] == shards


def test_killed_build_ends_with_the_same_artifacts(store, log, tmp_path, processes, monkeypatch):
    order = tmp_path / "die"
    order.touch()
    monkeypatch.setenv("TOY_DIE", str(order))
    killed = processes(toy_steps.__file__, "build", store.folder.path)
    assert killed.wait() == -9
    done = lines(log)
    assert done[-1] == "shard 0 of 10"  # killed in the middle of a step, with a shard done
    report = build(store, graph(sleep=0.05))
    assert report.ok
    assert report.hits == ["a/count"]
    after = lines(log)[len(done) :]
    assert after.count("shard 0 of 10") == 0
    assert [line for line in after if line.endswith("of 10")] == [f"shard {i} of 10" for i in (2, 4, 6, 8)]
    whole = Store(tmp_path / "whole", bundles=())
    build(whole, graph(sleep=0.05))
    assert contents(store) == contents(whole)


def test_two_builds_at_once_share_the_work(store, log, tmp_path, processes):
    builds = [processes(toy_steps.__file__, "build", store.folder.path) for _ in range(2)]
    assert [process.wait() for process in builds] == [0, 0]
    assert sorted(lines(log)) == sorted(
        ["count 10", "count 11", "total"]
        + [f"shard {i} of 10" for i in range(0, 10, 2)]
        + [f"shard {i} of 11" for i in range(0, 11, 2)]
    )
    whole = Store(tmp_path / "whole", bundles=())
    build(whole, graph(sleep=0.05))
    assert contents(store) == contents(whole)
