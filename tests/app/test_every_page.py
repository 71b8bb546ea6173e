import re
from pathlib import Path

import pytest

from core.data import SPECS
from tests.app.conftest import MAIN, OpenPage, html

VIEWS = Path(__file__).parents[2] / "app" / "views"
PAGES = sorted(path.stem for path in VIEWS.glob("*.py") if path.stem != "__init__")
# A paper fixes its data sets, so its page follows no choice of one.
RESULTS = [page for page in PAGES if page not in ("overview", "papers")]


def test_every_page_is_in_the_menu_and_has_its_test() -> None:
    assert PAGES
    listed = re.findall(r'st\.Page\("views/(\w+)\.py"', MAIN.read_text("utf-8"))
    assert sorted(listed) == PAGES
    tests = {path.stem for path in Path(__file__).parent.glob("test_*.py")}
    assert [page for page in PAGES if f"test_{page}" not in tests] == []


@pytest.mark.parametrize("page", PAGES)
def test_it_opens_with_what_ships(open_page: OpenPage, page: str) -> None:
    app = open_page(page, steps="3")
    assert not app.exception
    assert not app.error
    assert app.title or "<h1" in html(app)
    assert not app.code  # nothing to be built first


@pytest.mark.parametrize("name", [name for name in SPECS if name != "digits"])
@pytest.mark.parametrize("page", RESULTS)
def test_it_opens_for_every_data_set_without_a_copy_of_it(open_page: OpenPage, page: str, name: str) -> None:
    app = open_page(page, dataset=SPECS[name].title)
    assert not app.exception
    assert not app.error
    assert not app.warning or page == "health"
    assert not app.code  # nothing to be built first


@pytest.mark.parametrize("page", RESULTS)
def test_a_choice_that_another_data_set_lacks_is_put_back(open_page: OpenPage, page: str) -> None:
    app = open_page(page, dataset="SVHN", model="CNN+R", whose="CNN+R", models="CNN+R", of="CNN+R", steps="3")
    app.selectbox(key="dataset").select("cifar10").run()
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize("page", PAGES)
def test_it_opens_with_an_empty_store_and_names_the_command(
    open_page: OpenPage, no_bundles: None, page: str
) -> None:
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert app.title or "<h1" in html(app)
    name = "mnist" if page == "papers" else "digits"
    assert [code.value for code in app.code] == [f"python -m precompute build {name} --profile demo"]
    assert not app.get("vega_lite_chart")


@pytest.mark.parametrize("name", [name for name in SPECS if name != "digits"])
@pytest.mark.parametrize("page", RESULTS)
def test_it_opens_for_a_data_set_without_results(
    open_page: OpenPage, no_bundles: None, page: str, name: str
) -> None:
    app = open_page(page, dataset=SPECS[name].title)
    assert not app.exception
    assert not app.error
    assert [code.value for code in app.code] == [f"python -m precompute build {name} --profile demo"]


@pytest.mark.parametrize("page", RESULTS)
def test_an_unknown_data_set_is_corrected(open_page: OpenPage, page: str) -> None:
    app = open_page(page, dataset="Letters", steps="3")
    assert not app.exception
    said = " ".join(warning.value for warning in app.warning)
    assert "Data set “Letters” is not among Digits, MNIST, Fashion-MNIST" in said


@pytest.mark.parametrize("page", PAGES)
def test_pictures_have_words(open_page: OpenPage, page: str) -> None:
    app = open_page(page, steps="3", dataset="Digits")
    drawn = html(app)
    assert drawn.count("<img") == drawn.count(' alt="')
    assert all(chart.proto.alt for chart in app.get("vega_lite_chart"))
