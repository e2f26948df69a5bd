"""The page in a real browser, where there is one: it renders in light, dark and print, wide and narrow."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from certified.service.report import Facts, to_html
from certified.service.report.style import DARK, LIGHT

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")


def browse(page: Path, *arguments: str) -> None:
    assert BROWSER is not None
    fixed = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={page.parent / 'user'}",
    )
    subprocess.run([BROWSER, *fixed, *arguments, page.as_uri()], check=True, capture_output=True, timeout=60)


def picture(page: Path, width: int, *arguments: str) -> npt.NDArray[np.uint8]:
    image = pytest.importorskip("matplotlib.image")
    shot = page.with_suffix(".png")
    browse(page, f"--window-size={width},2400", f"--screenshot={shot}", *arguments)
    pixels: npt.NDArray[np.uint8] = np.round(image.imread(shot)[:, :, :3] * 255).astype(np.uint8)
    return pixels


def share(pixels: npt.NDArray[np.uint8], colour: str) -> float:
    wanted = [int(colour[index : index + 2], 16) for index in (1, 3, 5)]
    return float(np.mean(np.all(pixels == wanted, axis=2)))


@pytest.fixture
def page(facts: Facts, tmp_path: Path) -> Path:
    made = tmp_path / "report.html"
    made.write_text(to_html(facts), encoding="utf-8")
    return made


def test_light_and_dark(page: Path) -> None:
    light, dark = picture(page, 1200), picture(page, 1200, "--blink-settings=preferredColorScheme=0")
    assert light.shape == dark.shape == (2400, 1200, 3)
    for pixels, theme, other in ((light, LIGHT, DARK), (dark, DARK, LIGHT)):
        assert share(pixels, theme["paper"]) > 0.5 and share(pixels, theme["card"]) > 0.01
        assert share(pixels, theme["good"]) > 1e-4 and share(pixels, other["good"]) == 0.0  # Charts have the theme.


@pytest.mark.parametrize("width", [500, 1200])
def test_nothing_runs_off_the_side(page: Path, width: int) -> None:
    pixels = picture(page, width)
    assert share(pixels[:, -12:], LIGHT["paper"]) == 1.0


def test_it_prints(page: Path) -> None:
    paper = page.with_suffix(".pdf")
    browse(page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    content = paper.read_bytes()
    assert content.startswith(b"%PDF") and content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 3
