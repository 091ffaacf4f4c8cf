"""The page of a visual Turing test: what it holds, what it does not, and whether it can be read."""

import base64
import html
import json
import re
from itertools import pairwise

import numpy as np
import pytest

from ssgan.evaluation.turing_test import TuringTest
from ssgan.experiments.report.turing_page import TuringPage

TEST = TuringTest("a moment", 7, 4, None, False)
IMAGES = np.arange(4 * 3 * 2 * 2, dtype=np.uint8).reshape(4, 3, 2, 2)


def data_of(page):
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


def test_the_pixels_are_in_it_and_nothing_tells_what_is_real():
    page = TuringPage(IMAGES, TEST.id, "digits").file()
    data = data_of(page)
    assert set(data) == {"mode", "test", "shape", "images", "feedback"} and data["test"] == TEST.id
    assert [base64.b64decode(image) for image in data["images"]] == [image.tobytes() for image in IMAGES]
    assert len({len(image) for image in data["images"]}) == 1
    assert TEST.truth() not in page and "a moment" not in page


def test_the_file_needs_nothing_beside_it_and_speaks_to_nobody():
    page = TuringPage(IMAGES, TEST.id, "digits").file()
    assert not re.search(r'(?:src|href)="(?!#)|@import|url\(|https?://', page)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)[1]
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy
    assert page.count(f'nonce="{nonce}"') == 3 == len(re.findall("<(?:script|style)", page))
    served, sent = TuringPage(IMAGES, TEST.id, "digits").served()
    assert "connect-src 'self'" in sent and nonce not in served  # a new one each time


def test_what_comes_from_outside_is_escaped():
    page = TuringPage(IMAGES, TEST.id, "</title><script>x", name='"><img onerror=x>').file()
    assert "<script>x" not in page and "<img" not in page


@pytest.mark.parametrize("feedback", [False, True])
def test_a_person_is_told_beforehand_whether_there_is_feedback(feedback):
    page, _ = TuringPage(IMAGES, TEST.id, "digits", feedback=feedback).served()
    assert ("After each answer you are told" in page) is feedback
    assert ("You are not told whether you were right" in page) is not feedback


def test_everything_has_a_name_for_who_cannot_see_it():
    page = TuringPage(IMAGES, TEST.id, "digits").file()
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert '<html lang="en">' in page and 'name="viewport" content="width=device-width, initial-scale=1"' in page
    assert 'role="status" aria-live="polite"' in page and page.count('role="alert"') == 2
    for pointed in re.findall(r'(?:aria-labelledby|aria-describedby|for)="([^"]+)"', page):
        assert pointed in ids
    for tag in re.findall(r"<(?:section|canvas|progress)[^>]*>", page):
        assert "aria-label" in tag, tag
    assert set(re.findall(r'at\("([^"]+)"\)', page)) - {"lines"} <= ids
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize(("ink", "ground", "least"), [
    ("ink", "page", 4.5), ("muted", "page", 4.5), ("muted", "pale", 4.5), ("page", "blue", 4.5), ("blue", "page", 4.5),
    ("good", "page", 4.5), ("bad", "page", 4.5), ("edge", "page", 3), ("edge", "pale", 3)])
def test_contrast_is_that_of_wcag_aa(ink, ground, least):
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", TuringPage(IMAGES, TEST.id, "digits").file()))
    light, dark = sorted((luminance(colours[name]) for name in (ink, ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least


def luminance(colour):
    """WCAG 2.2's relative luminance of #rrggbb."""
    parts = [int(colour[place: place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
