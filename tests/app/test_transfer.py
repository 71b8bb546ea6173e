import pytest
from streamlit.testing.v1 import AppTest

from app.results import minimum
from core.figures.style import in_words
from core.metrics import Rate
from precompute.store import Bundle, Store
from tests.app.conftest import OpenPage, charts, html, written
from tests.app.michels2019 import MODELS

PAGE = "transfer"


def chart(app: AppTest) -> str:
    """What the only chart is said to show."""
    (shown,) = charts(app)
    return shown


def test_rates_are_counted_over_all_or_over_those_read_rightly(bundle: Bundle) -> None:
    found = minimum.transferred(bundle, "boundary")
    convnet, capsnet = MODELS
    assert found.fooling(convnet, convnet, "all") == Rate(9, 10)
    assert found.fooling(convnet, capsnet, "all") == Rate(1, 10), "what it misread before counts here"
    assert found.fooling(convnet, capsnet, "right") == Rate(0, 9)
    assert minimum.transferred(bundle, "cw").fooling(convnet, capsnet, "all") == Rate(0, 10), "not the target"
    universal = minimum.transferred(bundle, "universal")
    assert universal.fooling(capsnet, capsnet, "right") == Rate(4, 9)
    assert universal.fooling(capsnet, capsnet, "all") == Rate(5, 10)


def test_the_results_of_the_bundle_are_the_same_as_those_of_its_tables() -> None:
    shipped = Store().bundle("mnist", "michels2019")
    assert shipped is not None
    table = shipped["results-michels2019"].tables["rates"]
    table = table[table["metric"] == "fooling_rate"]
    assert len(table)
    for row in table.to_dict("records"):
        mine = minimum.transferred(shipped, row["attack"]).fooling(row["source"], row["model"], row["of"])
        assert mine == Rate(int(row["k"]), int(row["n"]))


def test_matrix_table_and_examples_are_linked(open_page: OpenPage, bundle: Bundle) -> None:
    app = open_page(PAGE, by="CW-L2")
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert f"Michels ConvNet to Michels ConvNet {in_words(Rate(9, 10))}" in chart(app)
    table = app.dataframe[0].value
    assert list(table["fooled"]) == [90, 0, 0, 90]
    assert list(table[""]) == ["", "▶", "", ""]
    assert html(app).count("Not fooled</span>") == 8
    app.selectbox("made").select(MODELS[1]).run()
    assert list(app.dataframe[0].value[""]) == ["", "", "", "▶"]
    assert html(app).count("</span> Fooled</span>") == 9
    assert f"{in_words(Rate(9, 10))} fooled" in written(app)


def test_the_address_holds_the_whole_view(open_page: OpenPage, bundle: Bundle) -> None:
    query = {"by": "Universal", "over": "Those read rightly before", "made": "Michels CapsNet"}
    app = open_page(PAGE, **query, read="Michels ConvNet", each="20")
    assert not app.exception
    assert not app.warning
    assert f"Michels CapsNet to Michels CapsNet {in_words(Rate(4, 9))}" in chart(app)
    assert list(app.dataframe[0].value[""]) == ["", "", "▶", ""]
    assert html(app).count('class="ct-tile"') == 20, "read now, of test images"
    app = open_page(PAGE, by="Magic", made="Nobody")
    said = " ".join(warning.value for warning in app.warning)
    assert all(f"“{wrong}”" in said for wrong in ("Magic", "Nobody"))


@pytest.mark.usefixtures("no_copy")
def test_without_a_local_copy_perturbations_are_shown_and_a_download_is_offered(
    open_page: OpenPage, bundle: Bundle
) -> None:
    app = open_page(PAGE, by="CW-L2")
    assert not app.exception
    assert "No local copy of Digits" in written(app)
    assert html(app).count('class="ct-tile"') == 9
    app = open_page(PAGE)
    assert "With your own copy" in app.info[0].value


def test_it_opens_with_the_two_networks_between_which_most_is_transferred(open_page: OpenPage) -> None:
    app = open_page(PAGE)
    table = app.dataframe[0].value
    michels = table["made on"].str.startswith("Michels")  # the others have no minimal perturbations
    apart = table[michels & (table["made on"] != table["read by"])]
    (chosen,) = table.index[table[""] == "▶"]
    assert chosen in apart.index
    assert table["fooled"][chosen] == apart["fooled"].max() > 20
    app.segmented_control(key="by").set_value("cw").run()
    assert list(app.dataframe[0].value.loc[lambda t: t[""] == "▶", "read by"]) == [table["read by"][chosen]]
