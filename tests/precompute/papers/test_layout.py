import re

import pytest

from precompute.papers import PAPERS, Results, claim_records, findings, layout, report_rows, table_drawing
from precompute.papers.tables import table_records

QIN2020 = PAPERS["qin2020"]


@pytest.fixture
def rows(results):
    return report_rows(QIN2020, results)


def test_models_are_columns_and_attacks_lines(rows):
    (section,) = layout(rows, "7")
    assert section.title == ""
    assert [(line.row, line.metric) for line in section.lines][:3] == [
        ("targeted PGD", "success"), ("targeted PGD", "undetected"), ("targeted R-PGD", "success"),
    ]  # fmt: skip
    assert all(list(line.numbers) == ["CapsNet", "CNN+CR", "CNN+R"] for line in section.lines)
    number = section.lines[2].numbers["CapsNet"]
    assert (number.published, number.ours, number.n) == (4.2, 4.0, 100)


def test_data_sets_are_sections_and_errors_need_none(rows):
    assert [section.title for section in layout(rows, "3")] == ["MNIST", "Fashion-MNIST", "SVHN"]
    (errors,) = layout(rows, "4")
    assert [line.row for line in errors.lines] == ["MNIST", "Fashion-MNIST", "SVHN"]
    assert errors.lines[0].numbers["CNN+CR"].ours == 1.7


def test_every_number_of_every_table_has_its_place(rows):
    for table in QIN2020.tables:
        placed = sum(len(line.numbers) for section in layout(rows, table.number) for line in section.lines)
        assert (
            placed
            == sum(row["table"] == table.number for row in rows)
            == len(table_records(rows, table.number))
        )


def test_white_and_black_box_are_told_apart(rows):
    found = {
        (row["table"], row["access"]): row["ours"]
        for row in rows
        if (row["dataset"], row["model"], row["attack"], row["mode"], row["metric"])
        == ("mnist", "capsnet", "r-pgd", "targeted", "success_rate")
    }
    assert found == {("3", None): 50.0, ("6", None): 50.0, ("7", "black_box"): 4.0}


def test_a_bundle_from_before_has_no_access_and_means_the_white_box(mnist):
    rates = mnist.artifacts["results"].tables["rates"]
    mnist.artifacts["results"].tables["rates"] = rates[rates["access"].isna()].drop(columns="access")
    rows = report_rows(QIN2020, Results([mnist]))
    ours = {row["table"]: row["ours"] for row in rows if row["ours"] == 50.0}
    assert set(ours) == {"3", "6"}
    assert {row["reason"] for row in rows if row["table"] == "7"} == {
        "the demo bundle of mnist has no such row"
    }


def test_cw_is_found_by_its_name(mnist):
    rates = mnist.artifacts["results"].tables["rates"]
    mnist.artifacts["results"].tables["rates"] = rates.replace({"attack": {"r-pgd": "cw"}})
    rows = report_rows(QIN2020, Results([mnist]))
    assert {row["ours"] for row in rows if row["attack"] == "cw" and row["ours"]} == {50.0, 98.0, 96.0}


def test_differences_are_ours_less_theirs(rows):
    first = table_records(rows, "3")[0]
    assert (first["published"], first["ours"], first["difference"]) == (50.7, 50.0, -0.7)
    assert table_records(rows, "1")[0]["difference"] is None


@pytest.mark.parametrize("table", [table.number for table in QIN2020.tables])
def test_tables_are_drawn_with_and_without_ours(results, table):
    for found in (results, Results([])):
        drawing = table_drawing(report_rows(QIN2020, found), table)
        assert len(drawing.rows) == sum(row["table"] == table for row in report_rows(QIN2020, found))
        known = sum(row["ours"] is not None for row in drawing.rows)
        told = [int(re.search(r"(\d+) of \d+ numbers have ours", panel.words)[1]) for panel in drawing.panels]
        assert sum(told) == known


def test_claims_are_tested_on_the_papers_data_sets(results):
    found = findings(QIN2020, results)
    by = {(finding.claim.key, finding.dataset): finding for finding in found}
    holds = by["capsnet-lowest-success/r-pgd-targeted", "mnist"]
    assert holds.verdict == "holds"
    assert [(c.lower.value, c.higher.value) for c in holds.compared] == [(0.5, 0.98), (0.5, 0.96)]
    assert by["capsnet-lowest-curve", "mnist"].verdict == "holds"
    assert by["capsnet-lowest-success/r-pgd-targeted", "svhn"].verdict == "not measured"
    records = claim_records(found)
    assert len({tuple(record) for record in records}) == 1
