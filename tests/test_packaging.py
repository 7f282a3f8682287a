"""The import names are general, so nobody else in the environment may own one of them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OURS = ("adapters", "evals", "generation", "ingest", "ragstone", "retrieval")


def foreign_owners(names: Iterable[str], owners: Mapping[str, list[str]]) -> dict[str, set[str]]:
    """Distributions other than ours that own one of `names`."""
    found = {name: set(owners.get(name, [])) - {"ragstone"} for name in names}
    return {name: others for name, others in found.items() if others}


def test_no_other_distribution_owns_our_import_names() -> None:
    assert foreign_owners(OURS, packages_distributions()) == {}


def test_a_foreign_owner_is_found() -> None:
    assert foreign_owners(OURS, {"evals": ["ragstone", "openai-evals"]}) == {"evals": {"openai-evals"}}


def test_every_package_folder_is_listed_by_hand() -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts) for name in OURS for path in (ROOT / name).rglob("__init__.py")
    }
    assert folders == set(PROJECT["tool"]["setuptools"]["packages"])


def test_the_two_faiss_packages_are_never_asked_for_together() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    owners = {name for name, wanted in extras.items() if any(item.startswith("faiss-") for item in wanted)}
    assert owners == {"cpu", "gpu"}
    base = PROJECT["project"]["dependencies"]
    assert not [item for item in base if item.startswith(("faiss", "torch", "transformers", "sentence"))]


def test_everything_installed_by_make_is_pinned() -> None:
    pinned = {
        line.split("==")[0].strip().lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    }
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = PROJECT["project"]["dependencies"] + [item for extra in extras.values() for item in extra]
    names = {re.split(r"[\[<>=]", item)[0].strip().lower() for item in wanted}
    assert names - pinned == set()
