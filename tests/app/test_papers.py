import re

import pytest

from app import state
from app.results.artifacts import Cached
from app.ui.claims import VERDICTS, findings_html
from app.ui.paper_table import PaperTable
from core.health import Check
from precompute.papers import PAPERS, Results, findings, layout, report_rows, with_worst
from precompute.papers.worst import WORST_BETA, WORST_IMAGE
from precompute.store import Store
from tests.app.conftest import OpenPage, html

PAGE = "papers"
QIN2020 = PAPERS["qin2020"]


@pytest.fixture
def results(tmp_path) -> Results:
    store = Store(tmp_path / "store")
    return QIN2020.over(bundle for name in QIN2020.datasets if (bundle := store.bundle(name, "qin2020")))


def text(app) -> str:
    """What the page's HTML says."""
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html(app)))


def saved(app) -> list[str]:
    return [button.proto.label for button in app.get("download_button")]


def test_claims_come_with_verdict_rates_and_p_values(open_page: OpenPage, results: Results) -> None:
    app = open_page(PAGE)
    assert not app.exception
    found = [finding for finding in findings(QIN2020, results) if finding.dataset == "mnist"]
    page, said = html(app), text(app)
    assert page.count("<article>") == len(found)
    for finding in found:
        assert finding.claim.sentence.replace("'", "&#x27;") in page
    for verdict in ("holds", "contradicted", "undecided", "not measured"):
        assert f"{verdict} {sum(f.verdict == verdict for f in found)}" in said.replace("</b>", "")
    assert re.search(r"CapsNet \d+\.\d % \(\d+\.\d–\d+\.\d %, n = \d+\) below CNN\+CR \d+\.\d %", said)
    assert re.search(r"p (<|=) [\d.]+, (holds|contradicted|undecided)", said)
    assert saved(app) == ["Claims (CSV)"]


def test_claims_can_be_chosen(open_page: OpenPage, results: Results) -> None:
    app = open_page(PAGE, on="Fashion-MNIST", verdict="holds")
    found = [f for f in findings(QIN2020, results) if (f.dataset, f.verdict) == ("fashion_mnist", "holds")]
    assert html(app).count("<article>") == len(found) > 0
    verdicts = {f.verdict for f in findings(QIN2020, results) if f.dataset == "cifar10"}
    absent = next(verdict for verdict in VERDICTS if verdict not in verdicts)
    none = open_page(PAGE, on="CIFAR-10", verdict=absent)
    assert none.info[0].value == "No claim with this verdict."


@pytest.mark.parametrize("number", [table.number for table in QIN2020.tables])
def test_tables_have_every_number_beside_ours_or_a_reason(
    open_page: OpenPage, results: Results, number: str
) -> None:
    app = open_page(PAGE, show="Tables", table=number)
    assert not app.exception
    numbers = [row for row in report_rows(PAPERS["qin2020"], results) if row["table"] == number]
    rows = with_worst(numbers, results)
    assert (len(rows) > len(numbers)) == (number in ("3", "6"))
    page = html(app)
    published = [float(value) for value in re.findall(r'<td class="cp-model">([\d.]+)</td>', page)]
    assert sorted(published) == sorted(row["published"] for row in rows)
    known = [row for row in rows if row["ours"] is not None]
    ours = [float(value) for value in re.findall(r"<td title=[^>]*><b>([\d.]+)</b>", page)]
    assert sorted(ours) == sorted(float(f"{row['ours']:.1f}") for row in known)
    assert page.count('class="cp-none"') == len(rows) - len(known)
    for reason in {row["reason"] for row in rows if row["reason"]}:
        assert reason.split("`")[0].strip() in text(app)
    assert page.count("≈") == sum(row["low"] <= row["published"] <= row["high"] for row in known)
    count = sum(row["ours"] is not None for row in numbers)
    assert f"{count} of {len(numbers)} numbers have ours" in "".join(c.value for c in app.caption)
    assert saved(app) == ["PNG", "SVG", "CSV"]


def test_a_table_can_be_a_chart(open_page: OpenPage) -> None:
    app = open_page(PAGE, show="Tables", table="3", **{"as": "Chart"})
    charts = [chart.proto.alt for chart in app.get("vega_lite_chart")]
    assert len(charts) == 12
    assert charts[0].startswith("MNIST success rate, published beside ours: 6 of 6 numbers have ours")


@pytest.mark.parametrize("number", [figure.number for figure in QIN2020.figures])
def test_figures_are_drawn_or_say_why_not(open_page: OpenPage, number: str) -> None:
    app = open_page(PAGE, show="Figures", figure=number)
    assert not app.exception
    assert app.subheader[0].value.startswith(f"Figure {number}. ")
    charts = app.get("vega_lite_chart")
    if charts:
        assert all(chart.proto.alt for chart in charts)
        assert saved(app) == ["PNG", "SVG", "CSV"]
    else:
        assert app.info[0].value.startswith("This figure cannot be drawn: ")
        assert saved(app) == []


def test_which_figures_can_be_drawn_without_pictures(open_page: OpenPage) -> None:
    drawn = [
        figure.number
        for figure in QIN2020.figures
        if open_page(PAGE, show="Figures", figure=figure.number).get("vega_lite_chart")
    ]
    assert drawn == ["1", "2", "3", "4", "6", "9"]


def test_parts_that_are_missing_are_told(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = state.bundle
    monkeypatch.setattr(state, "bundle", lambda name, paper: None if name == "svhn" else bundle(name, paper))
    app = open_page(PAGE, show="Figures", figure="2")
    assert any("Without SVHN: not built" in caption.value for caption in app.caption)


def test_an_address_that_is_wrong_is_corrected_aloud(open_page: OpenPage) -> None:
    app = open_page(PAGE, show="Tables", table="9", paper="nobody1999")
    assert not app.exception
    assert "Table “9” is not among 1, 2, 3, 4, 5, 6, 7" in app.warning[0].value
    assert "Paper “nobody1999”" in app.warning[0].value


def test_the_sidebar_does_not_offer_what_the_page_ignores(open_page: OpenPage) -> None:
    assert not open_page(PAGE).sidebar.selectbox


def test_a_cached_bundle_is_what_papers_want(tmp_path) -> None:
    bundle = Store(tmp_path / "store").bundle("mnist", "qin2020")
    assert bundle is not None
    cached = Cached(bundle)
    assert (cached.dataset, cached.profile) == ("mnist", bundle.profile)
    assert cached.get("nothing") is None
    assert cached.get("capsnet/clean") is cached.get("capsnet/clean")


def test_failed_checks_are_told_beside_the_numbers_they_touch(results: Results) -> None:
    rows = report_rows(PAPERS["qin2020"], results)

    def warn(row):
        return "check 4 failed" if (row["model"], row["attack"]) == ("cnn_r", "pgd") else ""

    table = PaperTable(layout(rows, "1"), ["CapsNet", "CNN+CR", "CNN+R"], warn).html()
    touched = [row for row in rows if row["table"] == "1" and row["ours"] is not None and warn(row)]
    assert table.count("⚠ check 4 failed") == len(touched) == 4


def test_worst_cases_say_at_which_beta(results: Results) -> None:
    rows = with_worst(report_rows(PAPERS["qin2020"], results), results)
    table = PaperTable(layout(rows, "3"), ["CapsNet", "CNN+CR", "CNN+R"], lambda row: "").html()
    worst = [row for row in rows if row["table"] == "3" and row["metric"] == WORST_BETA]
    assert len(worst) == table.count("at β = ") == 18
    assert sum(row["table"] == "3" and row["metric"] == WORST_IMAGE for row in rows) == 18


def test_failed_checks_are_told_beside_the_sides_of_a_claim(results: Results) -> None:
    asked: list[tuple[object, ...]] = []

    def warn(row):
        asked.append((row["dataset"], row["model"], row["metric"], row["attack"]))
        return "check 4 failed" if row["model"] == "cnn_r" else ""

    wanted = {
        "capsnet-lowest-curve",
        "pairs-more-unequal",
        "adversarials-look-like-target",
        "simplest-data-best",
    }
    found = [f for f in findings(QIN2020, results) if f.claim.key in wanted and f.dataset == "mnist"]
    page = findings_html(found, warn)
    assert page.count("⚠ check 4 failed") == sum(row[1] == "cnn_r" for row in asked) > 0
    # A difference between two models is about both.
    assert ("mnist", "cnn_r", "success_rate", "r-pgd") in asked
    assert {row[2] for row in asked if row[3] == "r-pgd"} == {"undetected_rate", "success_rate"}
    assert ("svhn", "capsnet", "undetected_rate", "pgd") in asked
    assert "above 0.00" in page
    assert "below 0.00" not in page


@pytest.mark.parametrize(("show", "number"), [("Tables", "3"), ("Figures", "2")])
def test_claims_stand_below_the_table_or_figure_that_they_are_made_in(
    open_page: OpenPage, results: Results, show: str, number: str
) -> None:
    app = open_page(PAGE, show=show, **{show[:-1].lower(): number})
    kind = "Table" if show == "Tables" else "Fig."
    about = [f for f in findings(QIN2020, results) if f.claim.is_made_in(kind, number)]
    listed = html(app).split('<ul class="cp-verdicts">')[1].split("</ul>")[0]
    assert listed.count("cp-chip") == len(about) > 3
    assert listed.count("<li>") == len({f.claim.key for f in about})


def test_a_figure_names_the_checks_that_failed(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    check = Check(5, "failed", "at most 12 %", touches=("undetected_rate/r-pgd",))
    monkeypatch.setattr("app.results.checks.checks", lambda bundle, results: {"cnn_r": [check]})
    captions = " ".join(c.value for c in open_page(PAGE, show="Figures", figure="2").caption)
    assert "MNIST, CNN+R: check 5 failed; Fashion-MNIST, CNN+R: check 5 failed" in captions
    captions = " ".join(c.value for c in open_page(PAGE, show="Figures", figure="4").caption)
    assert "check 5 failed" not in captions


MICHELS2019 = PAPERS["michels2019"]


@pytest.mark.parametrize("number", [table.number for table in MICHELS2019.tables])
def test_the_tables_of_michels2019_have_their_unit(
    open_page: OpenPage, results: Results, number: str
) -> None:
    app = open_page(PAGE, paper="michels2019", show="Tables", table=number)
    assert not app.exception
    rows = [row for row in report_rows(PAPERS["michels2019"], results) if row["table"] == number]
    page = html(app)
    published = [float(value) for value in re.findall(r'<td class="cp-model">([\d.]+)</td>', page)]
    assert sorted(published) == sorted(row["published"] for row in rows)
    assert f'scope="col">{"l2" if number == "1" else "%"}</th>' in page
    assert "Michels CapsNet" in text(app)


def test_the_claims_of_michels2019_are_told(open_page: OpenPage, results: Results) -> None:
    app = open_page(PAGE, paper="michels2019")
    assert not app.exception
    found = [finding for finding in findings(MICHELS2019, results) if finding.dataset == "mnist"]
    assert html(app).count("<article>") == len(found) > 10


@pytest.mark.parametrize("number", [figure.number for figure in MICHELS2019.figures])
def test_the_figures_of_michels2019_are_drawn_or_say_why_not(open_page: OpenPage, number: str) -> None:
    app = open_page(PAGE, paper="michels2019", show="Figures", figure=number)
    assert not app.exception
    assert app.get("vega_lite_chart") or app.info[0].value.startswith("This figure cannot be drawn: ")
