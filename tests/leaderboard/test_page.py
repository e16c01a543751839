"""The page in a real browser: it renders, sorts, filters, links; readable on a phone, in the dark, by keyboard."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recbole_attnseq.leaderboard.html_page import html
from recbole_attnseq.leaderboard.records import read_record
from recbole_attnseq.leaderboard.report import assemble, write_report
from tests.leaderboard.fakes import fill, with_config, write_board

MODELS = {"AttnSeq": {"seeds": [1, 2]}, "Pop": None, "BPR": None, "FPMC": None, "<b>odd</b> & Co": {"model": "BPR"}}
QUALITY = {"AttnSeq": 0.2, "Pop": 0.02, "BPR": 0.17, "<b>odd</b> & Co": 0.1}
DATASETS = ("ml-100k", "tiny")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium without a window."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install -e '.[dev]'")
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("needs a Chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1300,1000",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    from selenium.webdriver.chrome.service import Service

    found = webdriver.Chrome(options=options, service=Service(driver))
    found.set_page_load_timeout(60)
    yield found
    found.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    board = write_board(folder / "boards", MODELS, datasets={name: {} for name in DATASETS})
    fill(board, folder / "results", QUALITY)
    (folder / "results" / "runs" / "tiny" / "broken.json").write_text("{")
    ablation = folder / "results" / "ablation" / "tiny"
    ablation.mkdir(parents=True)
    record = read_record(next((folder / "results" / "runs" / "tiny").glob("Pop-*.json")))
    for name, width in (("first", 1), ("second", 2)):
        changed = with_config(record, {**record.config, "width": width})
        changed.save(folder / "scratch").rename(ablation / f"{name}.json")
    _, written, _ = write_report(folder / "boards", folder / "results")
    return written


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    browser.get(page.as_uri())
    yield browser
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert complaints == []


def _all(browser: Any, selector: str) -> list[Any]:
    return browser.find_elements("css selector", selector)


def _first_column(browser: Any, section: str = "ml-100k") -> list[str]:
    return [cell.text for cell in _all(browser, f'section[data-dataset="{section}"] > .scroll tbody th')]


def _choose(browser: Any, name: str, value: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", name)).select_by_value(value)


def test_renders_every_part_and_asks_no_network(opened: Any, page: Path) -> None:
    assert [section.get_attribute("data-dataset") for section in _all(opened, "section")] == list(DATASETS)
    for chart in ("time", "curves", "history", "popularity"):
        assert len(_all(opened, f'figure[data-chart="{chart}"] svg')) == 2, chart
    assert len(_all(opened, 'figure[data-chart="ablation"] rect')) == 2
    assert "runs/tiny/broken.json is corrupt" in opened.find_element("id", "rest").text
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page.read_text(encoding="utf-8"))


def test_figures_are_those_of_the_report(opened: Any, page: Path) -> None:
    data = json.loads(opened.execute_script("return document.getElementById('data').textContent"))
    row = data["tables"][0]["rows"][0]
    first = _all(opened, 'section[data-dataset="ml-100k"] > .scroll tbody tr')[0].text
    assert f"{row['metrics']['ndcg@10'][0]:.4f} ± {row['metrics']['ndcg@10'][1]:.4f}" in first
    assert f"{row['versus']['ndcg@10']['difference']:.4f}" in first
    marked = [tr.text for tr in _all(opened, 'section[data-dataset="ml-100k"] > .scroll tbody tr') if "≈" in tr.text]
    expected = [r["name"] for r in data["tables"][0]["rows"] if r["runs"] and not r["versus"]["ndcg@10"]["significant"]]
    assert sorted(text.split(" ")[0].split("\n")[0] for text in marked) == sorted(
        name.split(" ")[0] for name in expected
    )


def test_explains_what_is_there_alone(opened: Any) -> None:
    said = opened.find_element("css selector", "header").text
    marked = any("§" in name for dataset in DATASETS for name in _first_column(opened, dataset))
    assert ("§" in said) is marked
    assert "RecentPop" not in said
    opened.execute_script(
        "for (const row of report.tables[0].rows) { row.bucketed = !arguments[0]; row.model = 'RecentPop'; }"
        "for (const row of report.tables[1].rows) row.bucketed = false; start();",
        marked,
    )
    said = opened.find_element("css selector", "header").text
    assert ("§" in said) is not marked
    assert "RecentPop is ours" in said


def test_names_are_text_not_markup(opened: Any) -> None:
    assert "<b>odd</b> & Co" in _first_column(opened)
    assert _all(opened, "main b") == []


def test_sorts_by_click_and_by_keyboard(opened: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    assert _first_column(opened) == ["AttnSeq", "BPR", "<b>odd</b> & Co", "Pop", "FPMC"]
    button = 'section[data-dataset="ml-100k"] button[data-key="name"]'
    _all(opened, button)[0].click()
    assert _first_column(opened) == ["<b>odd</b> & Co", "AttnSeq", "BPR", "Pop", "FPMC"]
    focused = opened.switch_to.active_element
    assert focused.get_attribute("data-key") == "name"  # the table was drawn again, the focus is where it was
    focused.send_keys(Keys.ENTER)
    assert _first_column(opened) == ["Pop", "BPR", "AttnSeq", "<b>odd</b> & Co", "FPMC"]
    assert _all(opened, 'th[aria-sort="descending"]')[0].text.startswith("Model")
    assert _first_column(opened, "tiny")[0] == "AttnSeq"  # each table has an order of its own


def test_filters_by_data_set(opened: Any) -> None:
    _choose(opened, "dataset", "tiny")
    assert [section.get_attribute("data-dataset") for section in _all(opened, "section")] == ["tiny"]
    assert opened.find_element("id", "status").text == "1 table, 5 rows."
    _choose(opened, "dataset", "")
    assert len(_all(opened, "section")) == 2


def test_columns_and_cut_offs(opened: Any) -> None:
    _choose(opened, "cutoff", "5")
    heads = [th.text for th in _all(opened, 'section[data-dataset="tiny"] > .scroll thead th')]
    assert heads[2].startswith("NDCG@5")
    _choose(opened, "columns", "cost")
    heads = [th.text for th in _all(opened, 'section[data-dataset="tiny"] > .scroll thead th')]
    assert [head.split(" ▲")[0] for head in heads] == [
        "Model", "Seeds", "Epochs", "s an epoch", "s in all", "processor", "peak MiB", "parameters", "Records",
    ]  # fmt: skip
    _choose(opened, "columns", "items")
    assert "Gini index@5" in [th.text for th in _all(opened, 'section[data-dataset="tiny"] > .scroll thead th')]


def test_an_empty_row_says_so(opened: Any) -> None:
    (empty, _) = _all(opened, "tr.empty")
    assert empty.text == "FPMC empty: not run yet"


def test_every_row_leads_to_its_records_and_commands(opened: Any, page: Path) -> None:
    details = _all(opened, 'section[data-dataset="tiny"] > .scroll tbody details')
    assert [one.text for one in details] == ["2 records", "1 record", "1 record", "1 record"]
    details[0].find_element("tag name", "summary").click()
    links = details[0].find_elements("tag name", "a")
    assert [link.text for link in links] == ["seed 1", "seed 2"]
    for link in links:
        assert (page.parent / link.get_dom_attribute("href")).is_file()
    assert (
        details[0]
        .find_element("tag name", "code")
        .text.startswith("attnseq run --model=AttnSeq --dataset=tiny --seed=1")
    )


def test_a_legend_keeps_one_row_and_fades_the_others(opened: Any) -> None:
    section = _all(opened, "section")[0]
    button = section.find_elements("css selector", '.legend button[data-row="BPR"]')[0]
    button.click()
    faded = {mark.get_attribute("data-mark") for mark in section.find_elements("css selector", "[data-mark].faded")}
    assert faded == {"AttnSeq", "Pop", "<b>odd</b> & Co"}
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert section.find_elements("css selector", "[data-mark].faded") == []


def test_everything_is_reached_by_keyboard_and_shows_its_focus(opened: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    _choose(opened, "dataset", "tiny")
    opened.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    wanted = opened.execute_script(
        "return document.querySelectorAll('a[href], select, button, summary, [tabindex=\"0\"]').length"
    )
    hidden = opened.execute_script("return document.querySelectorAll('details:not([open]) > *:not(summary) a').length")
    reached = set()
    body = opened.find_element("tag name", "body")
    for _ in range(wanted + 5):
        (opened.switch_to.active_element or body).send_keys(Keys.TAB)
        active = opened.switch_to.active_element
        reached.add(active.id)
        width = active.value_of_css_property("outline-width")
        assert active.tag_name == "body" or float(width.removesuffix("px")) >= 2, active.get_attribute("outerHTML")[
            :200
        ]
    assert len(reached) >= wanted - hidden - _hidden_scrollers(opened)


def _hidden_scrollers(browser: Any) -> int:
    return int(
        browser.execute_script("return document.querySelectorAll('details:not([open]) [tabindex=\"0\"]').length")
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_scheme(opened: Any, scheme: str) -> None:
    """WCAG 2: 4.5 to 1 for text, 3 to 1 for marks."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    colours = opened.execute_script(
        "const s = getComputedStyle(document.documentElement);"
        "return Object.fromEntries(['back','face','text','quiet','link','ours','c0','c1','c2','c3','c4','c5','c6','c7']"
        ".map((n) => [n, s.getPropertyValue('--' + n).trim()]))"
    )
    assert (_luminance(colours["back"]) > 0.5) == (scheme == "light")
    for ground in ("back", "face", "ours"):
        for ink in ("text", "link"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for ground in ("back", "face"):
        assert _contrast(colours["quiet"], colours[ground]) >= 4.5, ground
    for number in range(8):
        assert _contrast(colours[f"c{number}"], colours["back"]) >= 3, number
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_fits_a_phone(browser: Any, page: Path) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        width = browser.execute_script("return document.querySelector('section svg').getBoundingClientRect().width")
        box = browser.execute_script("return document.querySelector('section svg').viewBox.baseVal.width")
        assert 12 * width / box >= 10  # letters of 12 units are at least 10 pixels high
        for control in ("dataset", "columns", "cutoff"):
            assert browser.find_element("id", control).size["height"] >= 36
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_data_cannot_end_their_element(page: Path) -> None:
    report = assemble(page.parents[1] / "boards", page.parent)
    report["skipped"] = ["</script><script>alert(1)</script>"]
    assert "</script><script>alert" not in html(report)


def test_the_committed_page_opens_with_all_its_tables(browser: Any) -> None:
    committed = Path(__file__).resolve().parents[2] / "results" / "leaderboard.html"
    browser.get(committed.as_uri())
    data = json.loads(browser.execute_script("return document.getElementById('data').textContent"))
    assert len(_all(browser, "section")) == len(data["tables"]) > 5
    assert len(_all(browser, "#rivals tbody tr")) == len(data["rivals"]["rows"]) > 5
    assert len(_all(browser, "#planned tbody tr")) == len(data["planned"]["rows"]) > 1
    _choose(browser, "dataset", "lastfm")
    shown = [row.text for row in _all(browser, "#rivals tbody tr")]
    assert len(shown) == sum(dataset == "lastfm" for dataset, _ in data["rivals"]["rows"])
    assert all(text.startswith("lastfm") for text in shown)
    heads = [th.text for th in _all(browser, 'section[data-dataset="lastfm"] > .scroll thead th')]
    assert sum(head.startswith("against the best other row") for head in heads) == 2, "every compared metric"
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
