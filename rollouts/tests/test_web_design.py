"""The design system's promises that a machine can check: contrast, and error pages that stand alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.views import defaults

TOKENS = Path(settings.BASE_DIR, "controlplane/static/controlplane/tokens.css").read_text()
TEXT_ON = {
    "text": ("bg", "surface", "sunken", "info-soft", "pass-soft", "hold-soft", "fail-soft"),
    "muted": ("bg", "surface", "sunken"),
    "accent": ("bg", "surface"),
    "on-accent": ("accent", "accent-strong"),
    "pass": ("pass-soft", "surface"),
    "fail": ("fail-soft", "surface"),
    "hold": ("hold-soft", "surface"),
    "info": ("info-soft", "surface"),
}
SHAPES_ON = {
    "stable": ("surface",),
    "candidate": ("surface",),
    "baseline": ("surface",),
    "line-strong": ("surface",),
}


def colours(scheme: str) -> dict[str, str]:
    """The tokens of a scheme; dark ones override light ones."""
    light, _, dark = TOKENS.partition("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light))
    return (
        found if scheme == "light" else {**found, **dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark))}
    )


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT_ON, 4.5), (SHAPES_ON, 3.0)], ids=["text", "shapes"])
def test_colours_have_the_contrast_of_wcag_aa(scheme, pairs, least):
    tokens = colours(scheme)
    weak = {
        (front, back): round(contrast(tokens[front], tokens[back]), 2)
        for front, backs in pairs.items()
        for back in backs
        if contrast(tokens[front], tokens[back]) < least
    }
    assert not weak


def test_black_on_white_has_the_greatest_contrast():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_the_page_of_a_fault_needs_neither_a_session_nor_a_database(rf):
    page = defaults.server_error(rf.get("/"))
    assert page.status_code == 500
    assert b"Slipway failed" in page.content
    assert b"csrf" not in page.content


def test_the_page_of_a_bad_request_says_what_to_check(rf):
    page = defaults.bad_request(rf.get("/"), Exception("host"))
    assert b"SLIPWAY_ALLOWED_HOSTS" in page.content
