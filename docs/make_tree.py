"""Adds modules that are new to the tree in README.md, each with the first line of its docstring, and drops those gone.

A line that stands there already is kept: the README says what a module is for in the words that a reader needs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = re.compile(r"^(\w+)/ {2,}\S")
_MODULE = re.compile(r"^ +([\w/]+\.(?:py|html)) {2,}(\S.*)$")
_WIDTH = 39


def tree(lines: list[str]) -> Iterator[str]:
    """The lines of the tree, made anew for what is there now."""
    known: dict[tuple[str, str], str] = {}
    heads: dict[str, str] = {}
    package = ""
    for line in lines:
        if found := _PACKAGE.match(line):
            package = found[1]
            heads[package] = line
        elif found := _MODULE.match(line):
            known[package, found[1]] = found[2]
    for package, head in heads.items():
        if (ROOT / package / "__init__.py").exists():
            yield head
            for path in _modules(ROOT / package):
                name = path.relative_to(ROOT / package).as_posix()
                yield f"  {name:<{_WIDTH}} {known.get((package, name)) or _said_of(path)}"
    yield ""
    yield from (head for package, head in heads.items() if not (ROOT / package / "__init__.py").exists())


def _modules(package: Path) -> list[Path]:
    found = [path for path in package.rglob("*") if path.suffix in (".py", ".html") and path.name != "__init__.py"]
    return sorted(found, key=lambda path: (path.parent != package, path.as_posix()))


def _said_of(path: Path) -> str:
    said = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0].replace("\n", " ")
    return (said[:1].lower() + said[1:]).rstrip(".") if not said[:2].isupper() else said.rstrip(".")


if __name__ == "__main__":
    readme = (ROOT / "README.md").read_text("utf-8")
    (block,) = (its for _, its in re.findall(r"^```(\w*)\n(.*?)^```", readme, re.S | re.M) if "pipeline.py" in its)
    made = "\n".join(tree(block.splitlines())) + "\n"
    (ROOT / "README.md").write_text(readme.replace(block, made), "utf-8")
