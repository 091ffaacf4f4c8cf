"""The report as one page: what it holds, shows at first, and needs."""

import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from curves import curve, result

from ssgan.experiments.report import compare, markdown, page, pictures


class Sources(HTMLParser):
    """What a page would load, and its tags."""

    def __init__(self, content):
        super().__init__()
        self.loads, self.names = [], set()
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]


def test_the_page_needs_nothing_beside_it_and_holds_pictures_and_sheets(tmp_path):
    from PIL import Image

    Image.new("L", (9, 7), 99).save(tmp_path / "samples-0000100.png")
    found = compare(curve(fetch=lambda pattern: tmp_path / "samples-0000100.png" if "samples" in pattern else None),
                    targets=[0.02])
    content = page(found, "a <b>title</b> & more", pictures(found))
    sources = Sources(content)
    assert len(sources.loads) == 5 and all(source.startswith("data:image/png;base64,") for source in sources.loads)
    assert (not sources.names & {"script", "link", "iframe", "object"} and "url(" not in content
            and "@import" not in content)
    assert "a &lt;b&gt;title&lt;/b&gt; &amp; more" in content
    for words in ("I have", "How good is that?", "How sure are we?", "What would 100 more buy?",
                  "to reach 2\u00a0% you need about"):
        assert words in content
    for row in found.series[0].rows:
        assert f"{100 * row.stat.mean:.2f} % test error" in content
        assert f"#b0-{row.labels}:checked ~ .for-{row.labels} {{ display: grid }}" in content
        assert f'id="b0-{row.labels}"' in content and f'for="b0-{row.labels}"' in content
    assert re.findall(r'id="(b0-\d+)" checked', content) == ["b0-100"]


def test_a_page_of_several_settings_has_an_answer_for_each_data_set_and_tables_for_each_setting():
    lost = result(20, 9, None, status="FAILED", reason="<b>not finite</b> & so on\nTry this.")
    found = compare([*curve(), *curve(settings={"train.epochs": "1.0"}), *curve(dataset="mnist", images=60_000), lost])
    content = page(found, "title", pictures(found))
    assert content.count("I have") == content.count("The curve") == content.count("data:image/png") == 2
    assert content.count("What more labels would bring") == 3
    for words in ("<h2>digits</h2>", "<h2>mnist</h2>", "<h2>digits, train.epochs=1.0</h2>", "3 settings, 36 runs",
                  "failed: &lt;b&gt;not finite&lt;/b&gt; &amp; so on"):
        assert words in content
    assert set(re.findall(r'id="(b\d)-100" checked', content)) == {"b0", "b1"}


def test_where_the_usual_budget_was_not_run_the_middle_one_is_open():
    found = compare([result(labels, seed) for labels in (30, 60, 90) for seed in range(2)])
    assert re.findall(r'id="(b0-\d+)" checked', page(found, "title", pictures(found))) == ["b0-60"]


@pytest.mark.parametrize("made", [
    curve(), curve(seeds=1), [result()], [result(error=0.0), result(seed=1, error=0.0)],
    curve(dataset="mnist", images=None), [*curve(), *curve(settings={"train.epochs": "1.0"})],
    [result(labels=budget) for budget in range(10, 400, 10)]],
    ids=["curve", "one seed", "one run", "no errors", "mnist", "two settings", "many budgets"])
def test_there_is_a_picture_of_whatever_was_run(made):
    from PIL import Image

    found = compare(made)
    png, = pictures(found).values()
    image = np.asarray(Image.open(BytesIO(png)).convert("L"))
    assert image.shape[1] > 1000 and (image < 128).mean() > 0.002
    assert page(found, "title", {made[0].dataset: png}) and markdown(found, "title")
