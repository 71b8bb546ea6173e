import re

import pytest
from streamlit.testing.v1 import AppTest

from app.results import attacks as results
from core.figures.style import in_words
from precompute.store import Bundle, Store
from tests.app.conftest import OpenPage, charts

PAGE = "detection"
MODELS = {"capsnet": "CapsNet", "cnn_cr": "CNN+CR", "cnn_r": "CNN+R"}


def shipped(tmp_path) -> Bundle:
    found = Store(tmp_path / "store").bundle("digits", "qin2020")
    assert found is not None
    return found


def table(app: AppTest) -> dict[str, list[str]]:
    """The cells of the table by model, without the warnings of failed checks behind them."""
    text = next(block.value for block in app.markdown if block.value.startswith("| Model"))
    plain = re.sub(r" :orange\[[^]]*\]", "", text)
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in plain.split("\n")[2:]]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(("fpr", "share"), [("1%", 0.01), ("5%", 0.05), ("20%", 0.2)])
def test_one_threshold_moves_table_histogram_curve_and_sweep(
    open_page: OpenPage, tmp_path, fpr: str, share: float
) -> None:
    app = open_page(PAGE, fpr=fpr)
    assert not app.exception
    assert not app.error
    bundle, said, shown = shipped(tmp_path), table(app), charts(app)
    assert list(said) == list(MODELS.values())
    best = []
    for number, (model, title) in enumerate(MODELS.items()):
        clean = results.clean(bundle, model)
        threshold = clean.threshold(share)
        attack = results.attacked(bundle, model, "attack/r-pgd-targeted")
        undetected = attack.undetected_rate(threshold)
        assert said[title] == [
            f"{threshold:.2f}",
            in_words(clean.flagged(threshold), 1),
            in_words(attack.success_rate()),
            in_words(undetected),
        ]
        assert f"The threshold is {threshold:.2f}; {in_words(undetected)}" in shown[number]
        assert f"{title} {in_words(undetected)}" in shown[3]
        sweep = results.sweep(bundle, model, targeted=True)
        best += [one.undetected_rate(threshold).value for one in sweep.attacks]
    assert shown[3].startswith(f"Undetected rate against false-positive rate. At {100 * share:g} %")
    highest = re.search(r"highest for .* at .*: (\d+) %", shown[5])
    assert highest
    assert int(highest.group(1)) == round(100 * max(best))


def test_the_curve_is_where_the_table_says(open_page: OpenPage) -> None:
    app = open_page(PAGE)
    for title, cells in table(app).items():
        assert f"{title} {cells[-1]}" in charts(app)[3]


def test_another_attack_has_other_rates(open_page: OpenPage, tmp_path) -> None:
    app = open_page(PAGE, method="PGD, targeted")
    assert not app.exception
    attack = results.attacked(shipped(tmp_path), "cnn_r", "attack/pgd-targeted")
    assert table(app)["CNN+R"][2] == in_words(attack.success_rate())
    assert "targeted PGD" in app.caption[-1].value
    assert table(app) != table(open_page(PAGE))


def test_plain_attacks_are_flagged_more_often_than_those_that_know(open_page: OpenPage) -> None:
    def undetected(method: str) -> list[int]:
        return [int(cells[-1].split(" ")[0]) for cells in table(open_page(PAGE, method=method)).values()]

    assert sum(undetected("PGD, targeted")) < sum(undetected("R-PGD, targeted"))


def test_the_sweep_can_be_untargeted(open_page: OpenPage) -> None:
    targeted, untargeted = open_page(PAGE), open_page(PAGE, aim="Untargeted")
    assert charts(targeted)[4:6] != charts(untargeted)[4:6]
    assert charts(targeted)[:4] == charts(untargeted)[:4]


def test_the_curve_can_be_magnified(open_page: OpenPage) -> None:
    near, far = open_page(PAGE, upto="10 %"), open_page(PAGE)
    assert '"domain": [0, 0.1]' in near.get("vega_lite_chart")[3].proto.spec
    assert '"domain": [0, 0.5]' in far.get("vega_lite_chart")[3].proto.spec


def test_only_their_own_class_rebuilds_clean_images_well(open_page: OpenPage) -> None:
    shown = [alt for alt in charts(open_page(PAGE)) if alt.startswith("Distances of clean test images")]
    assert len(shown) == 2  # CNN+R rebuilds from all classes at once
    for alt in shown:
        own, other = (float(number) for number in re.findall(r"(\d+\.\d+) from", alt))
        assert own < 0.75 * other


def test_everything_can_be_saved(open_page: OpenPage) -> None:
    names = [button.proto.label for button in open_page(PAGE).get("download_button")]
    assert names == ["Distances (CSV)", "Curve (CSV)", "β (CSV)", "Classes (CSV)"]


def test_an_address_that_is_wrong_is_corrected_aloud(open_page: OpenPage) -> None:
    app = open_page(PAGE, method="Magic", fpr="7%")
    assert not app.exception
    said = " ".join(warning.value for warning in app.warning)
    assert "Attack “Magic”" in said
    assert "False alarms “7%”" in said
