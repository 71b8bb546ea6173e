import os
import shutil
import time
from pathlib import Path

import pandas
import pytest
import torch
import toy_steps
from toy_steps import contents

from precompute.store import CorruptArtifact, MissingArtifact, Store
from precompute.store.artifact import Shelf
from precompute.store.files import Folder
from precompute.store.garbage import find_garbage, remove_garbage

pytestmark = pytest.mark.slow

ORIGIN = {"dataset": "toy", "profile": "smoke", "name": "thing"}


def publish(store, key="k", value=1, inputs=None):
    return store.publish(
        key,
        {"function": "f", "inputs": inputs or {}},
        {"x": torch.full((3,), value), "half": torch.ones(2, 2, dtype=torch.float16).t()},
        {
            "rates": pandas.DataFrame({"k": [1, 2], "name": ["a", "b"]}),
            "more": pandas.DataFrame({"n": [value]}),
        },
        {"value": value},
        ORIGIN,
    )


def file_of(store, pattern, key="k"):
    (path,) = Path(store.own.folder.path, key).glob(pattern)
    return path


@pytest.mark.parametrize("url", ["local", "memory://test_store_round_trip"])
def test_round_trip(url, tmp_path):
    store = Store(tmp_path / "s" if url == "local" else url, bundles=())
    assert not store.has("k")
    with pytest.raises(MissingArtifact, match="python -m precompute build"):
        store.load("k")
    published, loaded = publish(store), store.load("k")
    assert store.has("k")
    assert store.is_whole("k")
    for artifact in (published, loaded):
        assert artifact.recipe == {"function": "f", "inputs": {}}
        assert artifact.facts == {"value": 1}
        assert artifact.tensors["x"].tolist() == [1, 1, 1]
        assert artifact.tensors["half"].dtype == torch.float16
        assert artifact.tables["rates"].equals(pandas.DataFrame({"k": [1, 2], "name": ["a", "b"]}))
    assert store.manifest("k")["origin"] == ORIGIN
    store.set_bundle("toy", "toy2000", "smoke", {"thing": "k"}, {"n": 1})
    assert [(b.dataset, b.profile, b.facts) for b in store.bundles()] == [("toy", "smoke", {"n": 1})]


def test_load_reads_only_what_is_asked_for(store):
    publish(store)
    file_of(store, "tensors-*").unlink()
    partly = store.load("k", only=("rates",))
    assert (set(partly.tables), partly.tensors, partly.facts) == ({"rates"}, {}, {"value": 1})
    file_of(store, "rates-*").unlink()
    assert store.load("k", only=()).facts == {"value": 1}
    with pytest.raises(CorruptArtifact, match="it is gone"):
        store.load("k", only=("x",))


@pytest.mark.parametrize("pattern", ["manifest.json", "tensors-*.safetensors", "rates-*.parquet"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damage_to_any_file_is_seen_and_named(store, pattern, damage):
    publish(store)
    path = file_of(store, pattern)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "flip":
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-7])
    else:
        path.unlink()
    assert not store.is_whole("k")
    if (pattern, damage) == ("manifest.json", "gone"):
        expected, message = MissingArtifact, "expected an artifact k, found none"
    elif pattern == "manifest.json":
        expected, message = (
            CorruptArtifact,
            rf"{path} is damaged .*`python -m precompute build DATASET --profile",
        )
    else:
        expected, message = (
            CorruptArtifact,
            rf"{path} is damaged .*`python -m precompute build toy --profile smoke`",
        )
    with pytest.raises(expected, match=message):
        store.load("k")
    publish(store)
    assert store.load("k").facts == {"value": 1}


def test_manifest_under_another_key_is_refused(store):
    publish(store)
    shutil.copytree(
        file_of(store, "manifest.json").parent, file_of(store, "manifest.json").parents[1] / "other"
    )
    with pytest.raises(CorruptArtifact, match="it describes k"):
        store.load("other")


def test_what_cannot_be_stored_is_refused_and_leaves_nothing(store):
    table = pandas.DataFrame({"a": [1]}, index=["row"])
    with pytest.raises(ValueError, match="call reset_index"):
        store.publish("k", {}, tables={"t": table})
    with pytest.raises(ValueError, match="expected a table name"):
        store.publish("k", {}, tables={"../t": table.reset_index()})
    with pytest.raises(TypeError, match=r"expected a JSON value at facts\.x, got Tensor"):
        store.publish("k", {}, {"x": torch.ones(1)}, facts={"x": torch.ones(1)})
    assert store.own.names() == []


def test_interrupted_publish_leaves_no_artifact(store, monkeypatch):
    write = Folder.write

    def interrupted(self, name, data):
        if name == "manifest.json":
            raise KeyboardInterrupt
        write(self, name, data)

    monkeypatch.setattr(Folder, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish(store)
    monkeypatch.undo()
    assert store.own.names() == ["k"]
    assert not store.has("k")
    publish(store)
    assert store.load("k").facts == {"value": 1}


def test_failed_write_keeps_the_old_file_and_no_temporary(tmp_path):
    folder = Folder.open(tmp_path)
    folder.write("f", b"old")
    with pytest.raises(TypeError):
        folder.write("f", "no bytes")
    assert (folder.read("f"), folder.names()) == (b"old", ["f"])


def test_two_processes_publish_one_key_at_once(store, processes):
    publishers = [processes(toy_steps.__file__, "publish", store.folder.path) for _ in range(2)]
    reads = 0
    while any(process.poll() is None for process in publishers):
        if store.has("k"):
            artifact = store.load("k")
            assert len(artifact.tensors["x"]) == 1000
            assert len(artifact.tables["t"]) == 1
            reads += 1
    assert [process.returncode for process in publishers] == [0, 0]
    assert reads > 0
    assert store.is_whole("k")


def test_bundle_gives_artifacts_by_name_and_says_how_to_build_them(store):
    publish(store)
    assert store.bundle("toy", "toy2000") is None
    bundle = store.set_bundle("toy", "toy2000", "smoke", {"a/thing": "k", "a/gone": "nokey"})
    assert bundle["a/thing"].facts == {"value": 1}
    assert bundle.load("a/thing", only=()).tensors == {}
    assert "a/thing" in bundle
    assert "a/other" not in bundle
    assert bundle.get("a/other") is None
    assert bundle.get("a/gone") is None
    for name in ("a/other", "a/gone"):
        with pytest.raises(
            MissingArtifact,
            match=rf"'{name}'.*`python -m precompute build toy --paper toy2000 --profile smoke`",
        ):
            bundle[name]


def test_best_profile_comes_first(store):
    for profile in ("smoke", "paper", "demo"):
        store.set_bundle("toy", "toy2000", profile, {}, {"profile": profile})
    assert store.bundle("toy", "toy2000").profile == "paper"
    assert store.bundle("toy", "toy2000", "smoke").facts == {"profile": "smoke"}
    assert store.bundle("other", "toy2000") is None


def test_damaged_bundle_file_is_named_and_hides_no_other(store):
    store.set_bundle("toy", "toy2000", "smoke", {})
    store.set_bundle("toy", "toy2000", "demo", {})
    path = store.folder.path + "/bundles/toy/toy2000-demo.json"
    Path(path).write_text("x")
    assert store.bundle("toy", "toy2000").profile == "smoke"
    command = "python -m precompute build toy --paper toy2000 --profile demo"
    with pytest.raises(CorruptArtifact, match=rf"{path}.*`{command}`"):
        store.bundle("toy", "toy2000", "demo")


@pytest.fixture
def exported(store, tmp_path):
    """A shipped bundle of `thing` alone; the store it comes from also has `extra`."""
    publish(store)
    publish(store, "extra", 2)
    bundle = store.set_bundle("toy", "toy2000", "demo", {"thing": "k", "extra": "extra"}, {"n": 3})
    store.export(bundle, tmp_path / "shipped", ["thing"])
    return tmp_path / "shipped"


def test_export_is_a_bundle_of_its_own(exported, tmp_path):
    reader = Store(tmp_path / "empty", bundles=[exported])
    bundle = reader.bundle("toy", "toy2000")
    assert (bundle.profile, bundle.shipped, bundle.facts) == ("demo", True, {"n": 3})
    assert set(bundle.names) == {"thing"}
    assert bundle["thing"].tensors["x"].tolist() == [1, 1, 1]
    assert not (tmp_path / "empty").exists()


def test_export_replaces_an_earlier_one_and_stops_at_damage(exported, store):
    bundle = store.bundle("toy", "toy2000")
    store.export(bundle, exported, ["extra"])
    assert Shelf(Folder.open(exported) / "artifacts").names() == ["extra"]
    with pytest.raises(MissingArtifact, match="'nothing'"):
        store.export(bundle, exported, ["nothing"])
    file_of(store, "rates-*").write_bytes(b"")
    with pytest.raises(CorruptArtifact):
        store.export(bundle, exported, ["thing"])


def test_shipped_bundle_comes_first_unless_the_own_one_has_it_all(exported, store):
    reader = Store(store.folder.path, bundles=[exported])
    assert not reader.bundle("toy", "toy2000").shipped
    assert "extra" in reader.bundle("toy", "toy2000")
    store.set_bundle("toy", "toy2000", "demo", {"thing": "another", "extra": "extra"})
    assert reader.bundle("toy", "toy2000").shipped


def test_damage_to_a_shipped_artifact_is_mended_by_building_it(exported, store, tmp_path):
    reader = Store(tmp_path / "own", bundles=[exported])
    next((exported / "artifacts" / "k").glob("tensors-*")).write_bytes(b"")
    assert not reader.is_whole("k")
    with pytest.raises(CorruptArtifact):
        reader.load("k")
    publish(reader)
    assert reader.is_whole("k")
    assert reader.load("k").tensors["x"].tolist() == [1, 1, 1]


def test_shards_are_whole_or_not_there(store):
    shard = store.workspace("k").shard("000-100")
    assert shard.load() is None
    shard.save({"y": torch.arange(4)})
    assert store.workspace("k").shard("000-100").load()["y"].tolist() == [0, 1, 2, 3]
    path = Path(store.folder.path, "work/k/shards/000-100.shard")
    path.write_bytes(path.read_bytes()[:-1])
    assert shard.load() is None
    store.workspace("k").remove()
    assert not Path(store.folder.path, "work/k").exists()


def test_checkpoints_survive_in_a_remote_store(monkeypatch):
    monkeypatch.setattr("precompute.store.workspace.SYNC_SECONDS", 0)
    store = Store("memory://test_store_checkpoints", bundles=())
    first = store.workspace("k")
    (first.path / "deep").mkdir()
    (first.path / "deep" / "epoch").write_text("3")
    first.sync()
    first.close()
    second = store.workspace("k")
    assert second.path != first.path
    assert (second.path / "deep" / "epoch").read_text() == "3"
    second.remove()
    assert list(store.workspace("k").path.iterdir()) == []


def age(store, hours=48):
    """Makes all that is in the store old."""
    for file in store.folder.files():
        os.utime(Path(store.folder.path, file.name), (time.time() - hours * 3600,) * 2)


def collect(store, keep=()):
    found = find_garbage(store, keep)
    remove_garbage(store, found)
    return {item.folder for item in found}


def test_gc_keeps_what_is_needed(store):
    publish(store, "source")
    publish(store, "named", inputs={"x": "source"})
    publish(store, "kept")
    publish(store, "loose")
    store.set_bundle("toy", "toy2000", "smoke", {"thing": "named"})
    before = contents(store)
    sizes = sum(item.bytes for item in find_garbage(store, {"kept"}))
    assert sizes == sum(path.stat().st_size for path in file_of(store, "rates*", "loose").parent.iterdir())
    assert collect(store, {"kept"}) == {"artifacts/loose"}
    del before["loose"]
    assert contents(store) == before
    assert collect(store, {"kept"}) == set()


def test_gc_removes_leftovers_once_they_rest(store):
    publish(store)
    store.set_bundle("toy", "toy2000", "smoke", {"thing": "k"})
    for key in ("k", "resumable", "forgotten"):
        store.workspace(key).shard("0").save({"y": torch.ones(1)})
        (store.workspace(key).path / "checkpoint").write_text("c")
    for name in (
        "artifacts/k/.t.parquet.1.tmp",
        "artifacts/half/tensors-1.safetensors",
        "bundles/toy/.a.2.tmp",
    ):
        store.folder.write(name, b"left")
    store.folder.write("locks/forgotten.lock", b"")
    assert collect(store, {"resumable"}) == set()
    age(store)
    store.workspace("forgotten").shard("1").save({"y": torch.ones(1)})
    assert collect(store, {"resumable"}) == {
        "artifacts/k", "artifacts/half", "bundles/toy", "locks",
        "work/k/shards", "work/k/files", "work/forgotten/shards", "work/forgotten/files",
    }  # fmt: skip
    assert store.is_whole("k")
    assert store.bundle("toy", "toy2000") is not None
    assert store.workspace("resumable").shard("0").load() is not None
    assert store.workspace("forgotten").shard("1").load() is not None


def test_gc_stops_when_a_bundle_cannot_be_read(store):
    publish(store)
    store.set_bundle("toy", "toy2000", "smoke", {"thing": "k"})
    store.folder.write("bundles/toy/toy2000-smoke.json", b"{}")
    with pytest.raises(CorruptArtifact):
        find_garbage(store)
