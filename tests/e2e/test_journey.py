"""In a real browser: open, attack, see the verdict, stop, click a cell of the matrix, see the gallery."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

VERDICT = ".cs-verdict"
pytestmark = pytest.mark.alone


def query(tab: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(tab.url).query)


def wait_until_attacked(tab: Any) -> str:
    tab.locator(".st-key-attack-button button").first.wait_for()
    return tab.locator(VERDICT).first.inner_text()  # the second is that of a universal perturbation


def test_open_attack_see_the_verdict_click_a_cell_see_the_gallery(tab: Any, server: str) -> None:
    tab.goto(server)
    tab.get_by_text("the detector misses it").wait_for()
    tab.locator(".st-key-start button").first.click()

    told = wait_until_attacked(tab)
    assert re.search(r"Target hit|Wrong class|Failed", told)
    assert tab.locator(".cs-row").first.locator("img").count() == 5
    tab.locator(".st-key-pick-5 button").first.click()
    tab.get_by_text("Original: 5").wait_for()
    wait_until_attacked(tab)
    assert query(tab) == {"image": ["5"]}

    tab.get_by_role("button", name="Evading detection").click()
    tab.get_by_role("menuitem", name="Source and target").click()
    chart = tab.locator(".st-key-matrix-capsnet svg.marks").first
    chart.wait_for()
    click_a_cell(tab, chart)
    chosen = query(tab)
    link = tab.get_by_role("link", name=re.compile("in the gallery"))
    source = chosen.get("source", ["3"])[0]
    tab.get_by_text(re.compile(rf"^{source} → ")).first.wait_for()

    link.click()
    tab.wait_for_url(re.compile("/gallery"))
    tab.locator(".stHtml img").first.wait_for()
    assert tab.locator(".stHtml img").count() >= 3
    assert query(tab)["from"] == [source]


def click_a_cell(tab: Any, chart: Any) -> None:
    """Click into the matrix until a pair is chosen: some places are margins, or the empty diagonal."""
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    for across, down in ((0.45, 0.55), (0.55, 0.4), (0.7, 0.5), (0.6, 0.65), (0.4, 0.35)):
        tab.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
        tab.wait_for_timeout(1500)
        if {"source", "goal"} & set(query(tab)):
            return
    pytest.fail("no click into the matrix chose a pair")


def press_stop(tab: Any) -> None:
    """At once: a click waits until the page stands still, and while an attack runs it does not."""
    tab.locator(".st-key-stop button").first.dispatch_event("click")


def test_stop_stops_and_a_changed_setting_starts_anew(tab: Any, server: str) -> None:
    # The longest attack there is: PGD's 1,000 iterations may be over before a busy browser has clicked.
    tab.goto(f"{server}/live_attack?attack=CW-L2&steps=1000&searches=20&target=All+9")
    tab.locator(".st-key-stop button").first.wait_for()
    tab.get_by_text(re.compile(r"Iteration [1-9][\d,]* of 20,000")).wait_for()
    press_stop(tab)
    told = wait_until_attacked(tab)
    assert re.search(r"Stopped after [\d,]+ of 20,000 iterations", told)
    assert int(re.findall(r"Stopped after ([\d,]+)", told)[0].replace(",", "")) < 20_000

    sidebar = tab.get_by_test_id("stSidebarUserContent")
    sidebar.get_by_role("radio", name="CNN+R", exact=True).click()
    tab.get_by_text("Press Attack to run it").wait_for()
    tab.locator(".st-key-attack-button button").first.click()
    tab.get_by_text(re.compile(r"Iteration (\d{3}|[\d,]{5,}) of 20,000")).wait_for()
    sidebar.get_by_role("radio", name="CapsNet", exact=True).click()
    tab.wait_for_url(lambda url: "model" not in url)
    # Fewer iterations again: this is the new attack, which Stop is to stop.
    tab.get_by_text(re.compile(r"Iteration [1-9]\d? of 20,000")).wait_for()
    press_stop(tab)
    assert "Stopped after" in wait_until_attacked(tab)


def test_the_address_restores_the_view(tab: Any, server: str) -> None:
    address = f"{server}/live_attack?attack=PGD&image=12&target=Any+other+class&epsilon=0.2&steps=3&fpr=10%25"
    tab.goto(address)
    told = wait_until_attacked(tab)
    assert query(tab) == parse_qs(urlsplit(address).query)
    tab.reload()
    assert wait_until_attacked(tab) == told


def test_a_lasso_picks_out_and_a_click_looks_closer(tab: Any, server: str) -> None:
    tab.goto(f"{server}/universal?dataset=MNIST")
    plane = tab.locator("[data-plane='0']")
    plane.locator(".dot").first.wait_for()
    plane.scroll_into_view_if_needed()
    assert tab.locator("[data-plane]").count() == 2
    box = plane.bounding_box()

    def go(across: float, down: float) -> None:
        tab.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])

    go(0.01, 0.01)
    tab.mouse.down()
    for corner in ((0.99, 0.01), (0.01, 0.99), (0.01, 0.01)):  # the triangle above the diagonal
        go(*corner)
    tab.mouse.up()
    tab.get_by_text(re.compile(r"^\d+ picked out")).wait_for()
    assert len(query(tab)["picked"]) == 1
    faded = [tab.locator(f"[data-plane='{number}'] .faded").count() for number in (0, 1)]
    assert 0 < faded[0] == faded[1] < plane.locator(".dot").count()

    point = plane.locator(".dot:not(.faded)").last.bounding_box()
    middle = point["x"] + point["width"] / 2, point["y"] + point["height"] / 2
    tab.mouse.move(*middle)
    tab.locator(".tip img").wait_for()
    name = tab.locator(".tip b").inner_text()
    tab.mouse.click(*middle)
    tab.wait_for_url(re.compile("one="))
    assert query(tab)["one"] == [name]
