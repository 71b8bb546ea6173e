import json
from collections import Counter
from pathlib import Path

import pytest

from precompute.papers.claims import evaluate
from precompute.papers.michels2019.claims import CLAIMS

PAPER = Path(__file__).parents[4] / "assets" / "papers" / "michels2019.json"
DATASETS = ("mnist", "fashion_mnist", "svhn", "cifar10")
CONTRADICTED = {
    # On ConvNet CapsNet's universal perturbations fool 4.9 % of MNIST, the boundary attack's images 8.8 %.
    ("mnist", "universal-transfers-better/boundary"),
}
"""Where the published numbers themselves speak against a claim; all others about transfer hold in them."""


@pytest.fixture(scope="module")
def numbers():
    return json.loads(PAPER.read_text(encoding="utf-8"))["numbers"]


def test_every_number_of_the_three_tables_is_there(numbers):
    assert Counter(number["table"] for number in numbers) == {"1": 32, "2": 32, "3": 8}
    found = {
        tuple(n.get(c) for c in ("table", "dataset", "model", "attack")): n["published"] for n in numbers
    }
    assert len(found) == 72
    assert found["1", "mnist", "michels_capsnet", "universal"] == 11.45
    assert found["1", "cifar10", "michels_convnet", "deepfool"] == 0.23
    assert found["2", "svhn", "michels_convnet", "boundary"] == 10.5
    assert found["2", "fashion_mnist", "michels_capsnet", "universal"] == 25.7
    assert found["3", "fashion_mnist", "michels_convnet", None] == 92.9
    sums = Counter()
    for number in numbers:
        sums[number["table"]] += number["published"]
    assert {table: round(total, 2) for table, total in sums.items()} == {"1": 68.83, "2": 452.5, "3": 745.69}


def test_keys_are_unique_and_every_claim_says_where_it_is_made():
    assert max(Counter(claim.key for claim in CLAIMS).values()) == 1
    assert all(claim.sentence.endswith(".") for claim in CLAIMS)
    assert all("Table" in claim.source or "section" in claim.source for claim in CLAIMS)


def test_the_papers_own_rates_are_judged_as_the_paper_reads_them(numbers):
    rates = [
        {**number, "k": round(1000 * number["published"]), "n": 100_000}
        for number in numbers
        if number["table"] == "2"
    ]
    found = [f for f in evaluate(CLAIMS, {"rates": rates}, DATASETS) if f.verdict != "not measured"]
    assert len(found) == 4 * 6
    assert {(f.dataset, f.claim.key) for f in found if f.verdict != "holds"} == CONTRADICTED


def test_the_papers_own_norms_are_judged_as_the_paper_reads_them(numbers):
    """Differences of the published means, as if they were known to a hundredth."""
    mean = {(n["dataset"], n["model"], n["attack"]): n["published"] for n in numbers if n["table"] == "1"}
    mode = {n["attack"]: n.get("mode") for n in numbers if n["table"] == "1"}
    rows = []
    for dataset in DATASETS:
        for one, two in (("michels_convnet", "michels_capsnet"), ("michels_capsnet", "michels_convnet")):
            for attack in ("cw", "boundary", "deepfool", "universal"):
                value = mean[dataset, two, attack] - mean[dataset, one, attack]
                row = {
                    "dataset": dataset,
                    "metric": "norm_difference",
                    "attack": attack,
                    "mode": mode[attack],
                }
                tested = {"p_value": float(value <= 0), "p_opposite": float(value >= 0)}
                about = {"model": one, "other": two, "value": value, "low": value, "high": value, "n": 9}
                rows.append({**row, **about, **tested})
    found = {(f.claim.key, f.dataset): f.verdict for f in evaluate(CLAIMS, {"differences": rows}, DATASETS)}
    assert [found["universal-longer-on-capsnet", name] for name in DATASETS] == ["holds"] * 4
    others = ["contradicted", "holds", "holds", "holds"]
    assert [found["cw-shorter-on-capsnet", name] for name in DATASETS] == others
    assert [found["boundary-shorter-on-capsnet", name] for name in DATASETS] == others
    longer = ["holds", "holds", "holds", "contradicted"]
    assert [found["deepfool-longer-on-capsnet", name] for name in DATASETS] == longer
