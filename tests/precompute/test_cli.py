"""`python -m precompute` over a toy paper."""

import json
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest
import toy_steps
from typer.testing import CliRunner

from precompute.__main__ import app
from precompute.papers.health import COLUMNS
from precompute.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Runs a command over the toy paper, which `cli.paper` changes; `cli.store` is where it builds."""
    monkeypatch.setenv("CAPSIGHT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("precompute.store.store.SHIPPED", tmp_path / "none")

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    def paper(**changes):
        toy_steps.register(monkeypatch.setattr, **changes)

    paper()
    run.paper, run.store = paper, Store(tmp_path / "store")
    return run


def states(cli, dataset="toy", profile="smoke"):
    rows = json.loads(cli("status", "--json").stdout)
    (row,) = (row for row in rows if (row["dataset"], row["profile"]) == (dataset, profile))
    return row


def test_build_publishes_a_bundle_once(cli, log):
    result = cli("build", "toy", "--profile", "smoke")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "toy toy2000 smoke: 5 built, 0 there already" in result.stderr
    assert "built a/square" in result.stderr
    bundle = cli.store.bundle("toy", "toy2000", "smoke")
    assert bundle["total"].facts == {"total": 670}
    assert bundle.facts == {"note": "toy smoke"}
    lines = log.read_text()
    result = cli("build", "toy", "--profile", "smoke")
    assert (result.exit_code, log.read_text()) == (0, lines)
    assert "toy toy2000 smoke: 0 built, 5 there already" in result.stderr


def test_failed_build_keeps_the_bundle_and_says_why(cli):
    cli("build", "toy", "--profile", "smoke")
    names = cli.store.bundle("toy", "toy2000").names
    cli.paper(broken=True)
    result = cli("build", "toy", "--profile", "smoke")
    assert result.exit_code == 1
    assert "1 failed, 1 not run" in result.stderr
    assert "ValueError: the toy is broken" in result.stderr
    assert "not run total a/square failed" in result.stderr
    assert cli.store.bundle("toy", "toy2000").names == names


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("build", "toys"), "expected a data set among toy, other, got 'toys'"),
        (("build", "toy", "--profile", "huge"), "expected a profile among smoke, demo, paper, got 'huge'"),
        (
            ("build", "toy", "--workers", "2", "--scheduler", "tcp://x"),
            "expected --workers or --scheduler, got both",
        ),
        (("build", "toy", "--paper", "nobody1999"), "expected a paper among toy2000, got 'nobody1999'"),
        (("export", "toys", "folder"), "expected a data set among toy, other, got 'toys'"),
        (("explain", "nothing"), "expected a key, its beginning or a step's name, got 'nothing'"),
        (("explain", "total"), "expected one step, got 'total', which stands for"),
        (("report", "nobody1999"), "expected a paper among toy2000, got 'nobody1999'"),
        (("build",), "Missing argument 'DATASET'"),
        (("build", "toy", "--workers", "0"), "should be greater than or equal to 1"),
    ],
)
def test_mistakes_get_one_sentence_and_code_2(cli, arguments, sentence):
    result = cli(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stdout == ""


def test_help(cli):
    for arguments in (("-h",), ("build", "-h")):
        result = cli(*arguments)
        assert result.exit_code == 0
        assert "Usage: " in result.stdout


def test_status_tells_present_stale_and_missing(cli):
    row = states(cli)
    assert (row["bundle"], row["current"], row["missing"]) == (None, False, 5)
    cli("build", "toy", "--profile", "smoke")
    row = states(cli)
    assert (row["bundle"], row["current"], row["present"]) == ("own", True, 5)
    assert {step["name"]: step["key"] for step in row["steps"]} == cli.store.bundle("toy", "toy2000").names
    # The demo profile shares one branch with smoke.
    row = states(cli, profile="demo")
    assert {s["name"] for s in row["steps"] if s["state"] == "present"} == {"b/count", "b/square"}
    cli.paper(broken=True)
    row = states(cli)
    assert {s["name"] for s in row["steps"] if s["state"] == "stale"} == {"a/square", "total"}
    assert not row["current"]
    table = cli("status").stdout
    assert "present" in table
    assert "toy" in table


def test_status_finds_stale_steps_without_a_bundle(cli):
    cli.paper(broken=True)
    cli("build", "toy", "--profile", "smoke")
    cli.paper(sleep=0.001)
    assert {s["name"] for s in states(cli)["steps"] if s["state"] == "stale"} == {"b/square"}


def test_explain_shows_recipes_down_to_the_data(cli):
    cli("build", "toy", "--profile", "smoke")
    key = cli.store.bundle("toy", "toy2000").names["total"]
    queries = (key, key[:6], "toy/toy2000/smoke/total")
    by_key, by_beginning, by_name = (cli("explain", q).stdout for q in queries)
    assert by_key == by_beginning == by_name
    assert "toy/toy2000/smoke/total" in by_key
    assert f"{key} present" in by_key
    assert "n = 10" in by_key
    assert 'toy = "d1"' in by_key
    assert by_key.count("square version 1") == 2
    cli.paper(sleep=0.5)
    assert f"{key} old" in cli("explain", key).stdout


def test_verify_names_damage_and_the_cure(cli):
    cli("build", "toy", "--profile", "smoke")
    result = cli("verify")
    assert result.exit_code == 0
    assert "6 checked" in result.stdout
    key = cli.store.bundle("toy", "toy2000").names["a/square"]
    (file,) = (name for name in (cli.store.own.folder / key).names() if name.endswith(".parquet"))
    (cli.store.own.folder / key).write(file, b"")
    result = cli("verify", "--json")
    assert result.exit_code == 1
    (bad,) = (row for row in json.loads(result.stdout) if row["problems"])
    assert (bad["kind"], bad["name"]) == ("artifact", "a/square")
    assert f"{key}/{file} is damaged" in bad["problems"][0]
    assert "python -m precompute build toy --profile smoke" in bad["problems"][0]
    cli.store.own.remove(key)
    assert "toy/toy2000/smoke names a/square, whose artifact is gone" in cli("verify").stdout
    cli("build", "toy", "--profile", "smoke")
    assert cli("verify").exit_code == 0


def test_gc_removes_what_no_experiment_needs(cli):
    cli.paper(sleep=0.001)
    cli("build", "toy", "--profile", "smoke")
    cli.paper()
    old = set(cli.store.own.names())
    cli("build", "toy", "--profile", "smoke")
    planned = cli("gc", "--dry-run").stdout
    assert set(cli.store.own.names()) > old
    done = cli("gc").stdout
    assert planned.replace("to remove", "removed") == done
    assert done.count("no bundle needs it") == 3
    assert set(cli.store.own.names()) == set(cli.store.bundle("toy", "toy2000").names.values())
    assert cli("gc").stdout == "0 files, 0 bytes removed\n"


def test_report_prints_what_the_report_gives(cli, monkeypatch):
    rows = [{"paper": "toy2000", "ours": None, "n": 3}, {"paper": "sabour2017", "ours": 1.5, "n": 4}]
    papers = {row["paper"]: SimpleNamespace(name=row["paper"], builds=()) for row in rows}
    monkeypatch.setattr("precompute.papers.PAPERS", papers)
    monkeypatch.setattr(
        "precompute.papers.report.report",
        lambda store, paper: [row for row in rows if row["paper"] == paper.name],
    )
    assert json.loads(cli("report", "--json").stdout) == rows
    assert json.loads(cli("report", "toy2000", "--json").stdout) == rows[:1]
    assert "sabour2017" in cli("report").stdout


def test_health_prints_every_check_and_names_what_was_not_checked(cli, monkeypatch):
    some = {"dataset": "toy", "check": 4, "verdict": "failed", "n": 50}
    row = dict.fromkeys(COLUMNS) | some
    monkeypatch.setattr("precompute.papers.health.health", lambda bundles: [row])
    result = cli("health", "--json")
    assert json.loads(result.stdout) == [row]
    assert result.stderr == "other: not checked; run `python -m precompute build other --profile demo`\n"
    assert "failed" in cli("health").stdout


def test_export_writes_what_ships(cli, tmp_path):
    missing = cli("export", "toy", tmp_path / "out", "--profile", "smoke")
    assert missing.exit_code == 1
    assert "python -m precompute build toy --paper toy2000 --profile smoke" in missing.stderr
    cli("build", "toy", "--profile", "smoke")
    assert cli("export", "toy", tmp_path / "out", "--profile", "smoke").exit_code == 0
    bundle = Store(tmp_path / "empty", bundles=[tmp_path / "out"]).bundle("toy", "toy2000")
    assert list(bundle.names) == ["total"]
    assert bundle["total"].facts == {"total": 670}


def test_what_ships_can_be_built_alone_and_goes_on_from_what_shipped(cli, tmp_path, monkeypatch):
    result = cli("build", "toy", "--profile", "smoke", "--shipped")
    assert result.exit_code == 0
    assert list(cli.store.bundle("toy", "toy2000").names) == ["total"]
    shelf = tmp_path / "ship"
    cli("export", "toy", shelf / "toy", "--profile", "smoke")
    monkeypatch.setattr("precompute.store.store.SHIPPED", shelf)
    monkeypatch.setenv("CAPSIGHT_STORE", str(tmp_path / "other"))
    again = cli("build", "toy", "--profile", "smoke", "--shipped")
    assert "toy toy2000 smoke: 0 built, 1 there already" in again.stderr
    before = {path: path.read_bytes() for path in shelf.rglob("*") if path.is_file()}
    cli("build", "toy", "--profile", "smoke")  # names the bundle, whose artifacts shipped
    assert cli("export", "toy", shelf / "toy", "--profile", "smoke").exit_code == 0
    assert {path: path.read_bytes() for path in shelf.rglob("*") if path.is_file()} == before


def test_build_with_nothing_to_do_imports_nothing_slow(cli, processes):
    cli("build", "toy", "--profile", "smoke")
    again = processes(
        toy_steps.__file__, "cli", 0, "build", "toy", "--profile", "smoke", stdout=subprocess.PIPE
    )
    output, _ = again.communicate()
    assert (again.returncode, output) == (0, "[]\n")


@pytest.mark.parametrize(
    ("how", "ctrl_c"),
    [(signal.SIGINT, signal.SIG_DFL), (signal.SIGTERM, signal.SIG_DFL), (signal.SIGTERM, signal.SIG_IGN)],
    ids=["Ctrl-C", "kill", "kill in the background"],
)
def test_interrupted_build_ends_at_once_and_goes_on_later(cli, log, processes, how, ctrl_c):
    arguments = (toy_steps.__file__, "cli", 0.2, "build", "toy", "--profile", "smoke")
    # As a shell in the foreground starts it, or one in the background: however these tests were started.
    first = processes(
        *arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, ctrl_c),
    )
    while "shard 2 of 10" not in log.read_text():
        time.sleep(0.01)
    first.send_signal(how)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 130
    ignored = f"Ctrl-C is ignored here, as in all that runs in the background; `kill {first.pid}` stops it."
    assert (ignored in errors) == (ctrl_c is signal.SIG_IGN)
    assert errors.endswith("Stopped. What is finished is kept, and the same command goes on from there.\n")
    assert "Traceback" not in errors
    assert processes(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait() == 0
    assert log.read_text().count("shard 0 of 10") == 1
