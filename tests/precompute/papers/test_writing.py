"""`python -m precompute figures` over results whose numbers are known."""

import csv

import pandas as pd
import pytest
from typer.testing import CliRunner

from precompute.__main__ import app
from precompute.store import Store

pytestmark = pytest.mark.slow

MODELS = ("capsnet", "cnn_cr", "cnn_r")


def tables():
    common = {"dataset": "mnist", "mode": "targeted", "access": None, "attack": "r-pgd", "n": 100}
    numbers = {"k": 40, "value": 0.4, "low": 0.3, "high": 0.5}
    rates = [
        {**common, **numbers, "model": model, "metric": metric}
        for model in MODELS
        for metric in ("success_rate", "undetected_rate")
    ]
    sweep = [{**row, "beta": beta} for row in rates for beta in (0.25, 0.5)]
    curve = [{**row, "fpr": fpr, "threshold": 1.0} for row in rates[::2] for fpr in (0.01, 0.05, 0.1)]
    return {"rates": pd.DataFrame(rates), "beta": pd.DataFrame(sweep), "fpr": pd.DataFrame(curve)}


@pytest.fixture
def quick(monkeypatch):
    """Files without drawing: what is in them is for the tests of `precompute.papers`."""
    monkeypatch.setattr("precompute.papers.writing.png", lambda drawing: b"a picture")
    monkeypatch.setattr("precompute.papers.writing.svg", lambda drawing: "a drawing")


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSIGHT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CAPSIGHT_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("precompute.store.store.SHIPPED", tmp_path / "none")
    store = Store(tmp_path / "store")
    store.publish("results-key", {"function": "results"}, tables=tables())
    store.set_bundle("mnist", "qin2020", "demo", {"results": "results-key"}, {})
    return lambda *arguments: CliRunner().invoke(app, ["figures", *map(str, arguments)])


def test_every_table_and_figure_is_written_or_explained(cli, quick, tmp_path):
    out = tmp_path / "out"
    result = cli(out)
    assert (result.exit_code, result.stdout) == (0, "")
    lines = result.stderr.splitlines()
    tables = [f"table-{number}" for number in range(1, 8)]
    drawn = [*tables, "figure-2", "figure-6", "figure-9"]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["claims.csv", *(f"{name}.{ending}" for name in drawn for ending in ("png", "svg", "csv"))]
    )
    told = {line.split(":")[1].split()[0] for line in lines if line.startswith("not drawn:")}
    assert told == {f"figure-{number}" for number in (1, 3, 4, 5, 7, 8, 10, 11)}
    assert "not drawn: figure-3 (not built; run `python -m precompute build cifar10 --profile demo`)" in lines
    assert any(
        line.startswith("wrote figure-2.png, .svg and .csv; without Fashion-MNIST: not built")
        for line in lines
    )
    assert lines[-1] == f"{out}: 11 of 19 written"
    assert (out / "figure-9.png").read_bytes() == b"a picture"
    assert (out / "figure-9.svg").read_text() == "a drawing"
    rows = list(csv.DictReader((out / "table-3.csv").read_text().splitlines()))
    assert (rows[0]["published"], rows[0]["ours"], rows[0]["difference"]) == ("50.7", "40.0", "-10.7")
    # Three models, targeted on MNIST, have a sweep, though no row for the best β of each image.
    assert len(rows) == 36 + 3
    assert {row["beta"] for row in rows if row["metric"] == "worst_beta"} == {"0.25"}
    claims = list(csv.DictReader((out / "claims.csv").read_text().splitlines()))
    assert {row["verdict"] for row in claims} == {"undecided", "not measured"}


def test_what_cannot_be_drawn_any_more_is_removed_and_strangers_stay(cli, quick, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "figure-3.png").write_bytes(b"old")
    (out / "notes.txt").write_text("mine")
    assert cli(out, "--paper", "qin2020").exit_code == 0
    assert not (out / "figure-3.png").exists()
    assert (out / "notes.txt").read_text() == "mine"


def test_an_interrupted_write_leaves_the_old_file(cli, quick, tmp_path, monkeypatch):
    out = tmp_path / "out"
    cli(out)
    monkeypatch.setattr("precompute.papers.writing.png", lambda drawing: b"a new picture")

    def broken(drawing):
        raise RuntimeError("no more")

    monkeypatch.setattr("precompute.papers.writing.svg", broken)
    assert isinstance(cli(out).exception, RuntimeError)
    assert (out / "table-1.png").read_bytes() == b"a picture"
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_an_unknown_paper_is_named(cli, tmp_path):
    result = cli(tmp_path / "out", "--paper", "nobody1999")
    assert result.exit_code == 2
    assert "expected a paper among qin2020, michels2019, got 'nobody1999'" in result.stderr
    assert not (tmp_path / "out").exists()
