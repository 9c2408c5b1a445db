"""The code is as ruff wants it, and the project as it was agreed."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

TOP_LEVEL = {
    *("app.py", "multimodal", "low_vram", "assets", "tests", ".env.example", "requirements.txt", "README.md"),
    *("LICENSE", ".gitignore", ".ci", "pyproject.toml", "CHANGELOG.md"),
}
BUNDLE_BYTES = 14_000_000


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_is_content(command):
    run = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def tracked() -> list[str]:
    run = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        pytest.skip("not a git checkout")
    return run.stdout.splitlines()


def test_the_top_level_is_as_agreed():
    assert {path.split("/")[0] for path in tracked()} <= TOP_LEVEL


def test_the_bundled_assets_stay_small():
    assert sum((ROOT / path).stat().st_size for path in tracked() if path.startswith("assets/")) <= BUNDLE_BYTES


def test_what_the_readme_shows_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = [*re.findall(r'src="([^"]+)"', text), *re.findall(r"\]\(([^)#]+)\)", text), *re.findall(r"=@(\S+)", text)]
    assert len(shown) >= 4
    for path in shown:
        assert (ROOT / path).is_file(), path
    assert "@@" not in text
