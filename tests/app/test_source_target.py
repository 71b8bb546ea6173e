import json
import re

from streamlit.testing.v1 import AppTest

from app.results import attacks as results
from core.figures.style import in_words
from precompute.store import Bundle, Store
from tests.app.conftest import OpenPage, charts, html

PAGE = "source_target"


def shipped(tmp_path) -> Bundle:
    found = Store(tmp_path / "store").bundle("digits", "qin2020")
    assert found is not None
    return found


def tiles_of(app: AppTest) -> int:
    return html(app).count('class="ct-tile"')


def test_three_models_side_by_side_with_their_rates(open_page: OpenPage, tmp_path) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert not app.error
    bundle = shipped(tmp_path)
    said = [block.value for block in app.markdown if "**Success**" in block.value]
    assert len(said) == len(charts(app)) == 3
    for model, title, words, chart in zip(
        ("capsnet", "cnn_cr", "cnn_r"), ("CapsNet", "CNN+CR", "CNN+R"), said, charts(app), strict=True
    ):
        attack, threshold = results.attacked(bundle, model), results.clean(bundle, model).threshold(0.05)
        assert f"**Success** {in_words(attack.success_rate())}" in words
        assert f"**Undetected** {in_words(attack.undetected_rate(threshold))}, θ = {threshold:.2f}" in words
        assert chart.startswith(f"Success rate of attacks on {title}")
        assert in_words(attack.success_rate()) in chart


def test_the_threshold_changes_what_is_undetected_and_not_what_succeeds(open_page: OpenPage) -> None:
    strict = open_page(PAGE, fpr="20%", measure="Undetected rate")
    loose = open_page(PAGE, fpr="1%", measure="Undetected rate")

    def shares(app: AppTest, name: str) -> list[int]:
        return [int(n) for block in app.markdown for n in re.findall(rf"\*\*{name}\*\* (\d+) %", block.value)]

    assert shares(strict, "Success") == shares(loose, "Success")
    assert all(s <= m for s, m in zip(shares(strict, "Undetected"), shares(loose, "Undetected"), strict=True))
    assert sum(shares(strict, "Undetected")) < sum(shares(loose, "Undetected"))
    assert charts(strict)[0].startswith("Undetected rate of attacks on CapsNet")
    assert charts(strict) != charts(loose)


def test_the_chosen_pair_is_shown_under_every_model(open_page: OpenPage, tmp_path) -> None:
    app = open_page(PAGE, source="4", goal="9")
    assert app.subheader[0].value == "4 → 9"
    attack = results.attacked(shipped(tmp_path), "capsnet")
    images = int(((attack.label == 4) & (attack.target == 9)).sum())
    assert tiles_of(app) == 3 * images
    page = html(app)
    assert page.count("The original image, a 4") == images
    assert "attacked to be read as 9; CapsNet reads" in page
    assert "attacked to be read as 9; CNN+R reads" in page


def test_source_and_target_are_never_the_same(open_page: OpenPage) -> None:
    app = open_page(PAGE, source="3", goal="8")
    app.selectbox(key="source").set_value(8).run()
    assert not app.exception
    assert app.selectbox(key="goal").value != 8
    assert app.subheader[0].value == f"8 → {app.selectbox(key='goal').value}"


def test_links_lead_to_the_same_pair(open_page: OpenPage) -> None:
    app = open_page(PAGE, source="4", goal="9")
    gallery, live = (link.proto for link in app.get("page_link"))
    assert gallery.page == "gallery"
    assert gallery.query_string == "from=4&to=9"
    assert live.page == "live_attack"
    assert re.fullmatch(r"image=\d+&target=9", live.query_string)


def test_boxes_and_colours(open_page: OpenPage) -> None:
    boxes, colours = open_page(PAGE), open_page(PAGE, style="Colours")
    spec = colours.get("vega_lite_chart")[0].proto.spec
    assert '"scheme"' in spec
    assert '"scheme"' not in boxes.get("vega_lite_chart")[0].proto.spec


def test_an_address_that_is_wrong_is_corrected_aloud(open_page: OpenPage) -> None:
    app = open_page(PAGE, source="ten", measure="Luck")
    assert not app.exception
    assert "Source “ten” is not among" in app.warning[0].value
    assert "Measure “Luck”" in app.warning[0].value
    assert app.subheader[0].value == "3 → 8"


def test_many_classes_get_maps_in_one_order_and_the_worst_pairs(open_page: OpenPage, monkeypatch) -> None:
    monkeypatch.setattr("core.figures.matrix.MANY", 9)
    app = open_page(PAGE)
    assert not app.exception
    assert "style" not in [group.key for group in app.button_group], "a map has one style"
    found = app.get("vega_lite_chart")
    # A click tells the page something; that the map is moved or enlarged does not.
    assert [list(chart.proto.selection_mode) for chart in found] == [["cell_3_8"]] * 3
    specs = [json.loads(chart.proto.spec) for chart in found]
    assert all("view" in [param["name"] for param in spec["params"]] for spec in specs)
    placed = {spec["layer"][0]["transform"][0]["calculate"] for spec in specs}
    assert len(placed) == 1
    assert any("the order of classes that fits CapsNet" in caption.value for caption in app.caption)
    tables = [table.value for table in app.dataframe]
    assert [len(table) for table in tables] == [10] * 3
    for table in tables:
        rates = [int(words.split()[0]) for words in table["Success rate"]]
        assert rates == sorted(rates, reverse=True)
    app.button_group(key="measure").set_value("Undetected rate").run()
    assert not app.exception
    assert "Undetected rate" in app.dataframe[0].value


def test_ten_classes_have_boxes_and_no_table(open_page: OpenPage) -> None:
    app = open_page(PAGE)
    assert not app.dataframe
    assert not any("order of classes" in caption.value for caption in app.caption)
    assert "style" in [group.key for group in app.button_group]
