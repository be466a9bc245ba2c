"""The words of the code: docstrings open with a verb, sentences are short, terms are those of docs/method.md."""

from __future__ import annotations

import ast
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST = 25
"""Words of a sentence."""
NO_VERB = {
    *("A", "All", "An", "As", "Beside", "Each", "Every", "For", "From", "How", "If", "In", "Its", "Of", "On", "One"),
    *("That", "The", "What", "When", "Where", "Whether", "Which", "With", "Within"),
}
"""First words of docstrings that do not open with a verb."""
DIALECT = (
    r"let in\b", r"letting in\b", r"elsewhere", r"vacuous", r"in the stead", r"\bdecoders\b", r"\bnoted\b",
    r"\bmistakes?\b", r"\bfocus", r"(?<![\w\"./])exchang(?:e|ed|es|ing)\b(?!\")", r"\bauxiliary_probes?'",
)  # fmt: skip
"""What docs/method.md has other words for."""
OTHER_WORDS = ("CHANGELOG.md", "catalogue.md")
"""Pages of what was, and of programs whose tokens change places."""
PAGES = [
    page
    for page in (
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "conf").rglob("*.yaml")),
    )
    if page.name not in OTHER_WORDS
]
HOOKS = re.compile(r"on_|setup$|forward$|\w+_step$|\w+_dataloader$|configure_optimizers$|(load_)?state_dict$")
"""Methods that PyTorch and Lightning call, and document."""
SECTIONS = re.compile(r"\s*(Args|Attributes|Returns|Raises|Yields):\s*")
ENTRY = re.compile(r"\s*(?:- |\* |[\w*`., ]+: )")

ALLOWED: dict[str, set[str]] = {
    "no docstring": {
        "siit.causal",
    },
    "opens without a verb": set(),
    "a long sentence": set(),
    "dialect": set(),
}
"""Fault -> rooms in which it is still to be mended: sets that only shrink."""


def rooms() -> dict[str, list[Path]]:
    """Groups the modules by package; those that stand in none are their own."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "siit").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        depth = 3 if parts[1] == "training" else 2
        found.setdefault(".".join(parts[:depth]), []).append(path)
    return found


def documented(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yields everything that has a docstring, with it, those under fields and constants included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield node, text
        body = getattr(node, "body", None)
        for before, statement in itertools.pairwise(body) if isinstance(body, list) else ():
            below = _text(statement)
            if isinstance(before, ast.Assign | ast.AnnAssign) and below is not None:
                yield statement, below


def _text(node: ast.AST) -> str | None:
    constant = node.value if isinstance(node, ast.Expr) else None
    return constant.value if isinstance(constant, ast.Constant) and isinstance(constant.value, str) else None


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Yields public functions and the public methods of public classes; of protocols none, and no library's hooks."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from [node] if not node.name.startswith("_") else []
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
                continue
            methods = (child for child in node.body if isinstance(child, ast.FunctionDef))
            yield from (method for method in methods if not (method.name.startswith("_") or HOOKS.match(method.name)))


def is_property(function: ast.FunctionDef) -> bool:
    """Tells properties, which may open with a noun, from functions."""
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def sentences(text: str) -> Iterator[str]:
    """Splits a docstring into its sentences; entries of lists and of sections are sentences of their own."""
    chunk: list[str] = []
    chunks = [chunk]
    for line in re.sub(r"`[^`]*`", "name", text).split("\n"):
        if not line.strip() or SECTIONS.fullmatch(line) or ENTRY.match(line):
            chunk = []
            chunks.append(chunk)
        if line.strip() and not SECTIONS.fullmatch(line):
            chunk.append(line.strip())
    for found in chunks:
        yield from filter(None, re.split(r"(?<=[.?!])\s+", " ".join(found)))


def faults(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the faults of one module: which, and where."""
    text = path.read_text()
    tree = ast.parse(text)
    place = path.relative_to(ROOT)
    for function in public_functions(tree):
        docstring = ast.get_docstring(function)
        if docstring is None:
            yield "no docstring", f"{place}:{function.lineno} {function.name}"
        elif not is_property(function) and docstring.split()[0].rstrip(",") in NO_VERB:
            yield "opens without a verb", f"{place}:{function.lineno} {docstring.splitlines()[0]}"
    for node, docstring in documented(tree):
        for sentence in sentences(docstring):
            if len(sentence.split()) > LONGEST:
                yield "a long sentence", f"{place}:{getattr(node, 'lineno', 1)} {sentence}"
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in DIALECT:
            if re.search(pattern, line):
                yield "dialect", f"{place}:{number} {line.strip()}"


@pytest.mark.parametrize("room", rooms())
def test_words(room: str) -> None:
    found = [fault for path in rooms()[room] for fault in faults(path)]
    assert [fault for fault in found if room not in ALLOWED[fault[0]]] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_speak_no_dialect(page: Path) -> None:
    lines = enumerate(page.read_text().splitlines(), 1)
    assert [(number, line) for number, line in lines for pattern in DIALECT if re.search(pattern, line)] == []


def test_the_faults_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "module.py"
    words = " ".join(["word"] * LONGEST)
    path.write_text(
        f'"""Says {words}."""\n'
        "def public(): ...\n"
        'def other():\n    """The answer.\n\n    Args:\n        one: thing.\n    """\n'
        f'class Some:\n    field = 1\n    """Short. {words.capitalize()} {words}."""\n'
        '    @property\n    def noun(self):\n        """The noun."""\n'
        "# what is exchanged\n"
        'data["exchange"] = data["exchanges"]\n'
    )
    assert Counter(name for name, _ in faults(path)) == {
        "no docstring": 1,
        "opens without a verb": 1,
        "a long sentence": 2,
        "dialect": 1,
    }
