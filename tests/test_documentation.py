"""Documentation that leads somewhere: its links, and the modules and files that it names, exist."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

from siit.training.configuration.settings import ObjectiveSettings, TrainerSettings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
RECORDS = ("CHANGELOG.md",)
"""Pages that speak of what was: the modules that they name need not exist."""
CURRENT = [page for page in PAGES if page.name not in RECORDS and page.parent.name != "notes"]
COMMENTED = [path for folder in ("conf", "siit", "scripts", "tests") for path in sorted((ROOT / folder).rglob("*"))]


def anchors(page: Path) -> set[str]:
    """Lists a page's anchors: those of its headings, as GitHub makes them, and those that it sets itself."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


def dead_links(page: Path) -> list[str]:
    """Lists relative links that lead to no file, or to no anchor of it."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            dead.append(target)
    return dead


def unknown_modules(text: str) -> list[str]:
    """Lists what is named as a module, or something in one, and is neither."""
    unknown = []
    for name in sorted(set(re.findall(r"\b(?:siit|tracr_cases)(?:\.[A-Za-z_]\w*)+", text))):
        if not _found(name):
            unknown.append(name)
    return unknown


def _found(name: str) -> bool:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


def unknown_files(text: str) -> list[str]:
    """Lists paths into the checkout, in backticks or of a page, that do not exist."""
    paths = re.findall(r"`((?:siit|conf|tests|scripts|docs|tracr_cases)/[\w./-]*)`", text)
    paths += re.findall(r"\bdocs/[\w/-]+\.\w+", text)
    return sorted({path for path in paths if not (ROOT / path).exists()})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_lead_somewhere(page: Path):
    assert dead_links(page) == []
    if page.name not in RECORDS:
        text = page.read_text()
        assert unknown_modules(text) == []
        assert unknown_files(text) == []


def test_what_the_changelog_says_is_new_exists():
    """The last column of its tables of what was renamed."""
    tables = re.findall(r"^\|.+\|(.+)\|$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert len(tables) > 10
    assert unknown_modules("\n".join(tables)) == []


def test_comments_name_pages_that_exist():
    files = [path for path in COMMENTED if path.suffix in (".py", ".yaml") and path != Path(__file__)]
    found = {str(path.relative_to(ROOT)): re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text()) for path in files}
    assert any(found.values())
    assert {path: [name for name in names if not (ROOT / name).exists()] for path, names in found.items() if names} == {
        path: [] for path, names in found.items() if names
    }


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_keys_exist(page: Path):
    """Where a page names a field of the objective or the trainer, the configuration has it."""
    groups = {"objective": ObjectiveSettings, "trainer": TrainerSettings}
    known = {f"{group}.{field.name}" for group, kind in groups.items() for field in dataclasses.fields(kind)}
    named = set(re.findall(r"\b(?<![./])(?:objective|trainer)\.[a-z_]+\b", page.read_text()))
    assert named - known == set()


def test_the_map_names_every_room():
    """Packages, and modules that stand in none, but for private ones."""
    rooms = [path for folder in ("siit", "siit/training") for path in (ROOT / folder).iterdir()]
    names = [
        f"`{room.relative_to(ROOT)}{'/' if room.is_dir() else ''}`"
        for room in rooms
        if (room / "__init__.py").exists() or (room.suffix == ".py" and not room.name.startswith("_"))
    ]
    text = (ROOT / "docs" / "design.md").read_text()
    assert len(names) > 20
    assert [name for name in sorted(names) if name not in text and name != "`siit/training/`"] == []


def test_the_dictionary_is_linked_from_the_readme():
    assert "(docs/method.md)" in (ROOT / "README.md").read_text()


def test_what_leads_nowhere_is_seen(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A page, of `two` words\n[a](missing.md) [b](#a-page-of-two-words) [c](#nowhere) [d](https://x.y)\n"
    )
    assert dead_links(page) == ["missing.md", "#nowhere"]
    assert unknown_modules("siit.load, siit.graph.circuit.Circuit, siit.nothing.here") == ["siit.nothing.here"]
    assert unknown_files("`siit/graph/` and `siit/nothing.py` of docs/nothing.md") == [
        "docs/nothing.md",
        "siit/nothing.py",
    ]
