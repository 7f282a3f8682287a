"""A git repository: the files of one branch, read from a bare copy. Nothing of it is ever checked out or run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from ingest.errors import DocumentTooLarge, NotFound, RefusedDocument, TryAgain
from ingest.sources.types import Fetched, Listed, SourceSettings

_TIMEOUT_S = 600
_MIB = 1024 * 1024
_ENTRY = re.compile(rb"(\d+) blob ([0-9a-f]+) +(\d+)\t(.*)", re.S)
_REGULAR = (b"100644", b"100755")
# Neither a repository nor its address may have programs run, or ask a person.
_SAFE = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}


class GitReader:
    """Marks are the hashes of the files' contents: an unchanged file is never read."""

    def __init__(self, settings: SourceSettings, folder: Path) -> None:
        """`folder` is where the bare copy is kept. Raises RefusedDocument for an address that could be an option."""
        if settings.location.startswith("-") or (settings.branch or "").startswith("-"):
            raise RefusedDocument(f"{settings.location!r} is no address of a repository")
        self._settings = settings
        self._folder = folder
        self._sizes: dict[str, int] = {}
        self._commit = ""

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed]:
        """Fetches what is new, then the files of the branch. Raises TryAgain where the repository can't be reached."""
        self._fetch_new()
        below = self._settings.subfolder.strip("/")
        for entry in self._git("ls-tree", "-r", "-l", "-z", "--full-tree", self._commit).split(b"\0"):
            found = _ENTRY.fullmatch(entry)
            if found is None or found[1] not in _REGULAR:  # a link, or another repository
                continue
            path = found[4].decode("utf-8", "backslashreplace")
            if below and not path.startswith(f"{below}/"):
                continue
            blob = found[2].decode("ascii")
            self._sizes[blob] = int(found[3])
            uri = path.removeprefix(f"{below}/") if below else path
            yield Listed(blob, uri, path.rsplit("/", 1)[-1], blob)

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        """Raises DocumentTooLarge and NotFound."""
        if mark == item.mark:
            return None
        size = self._sizes.get(item.key, 0)
        if size > max_bytes:
            raise DocumentTooLarge(
                f"{item.uri} has {size / _MIB:.1f} MiB and the limit is {max_bytes / _MIB:g}: split it, or raise "
                "ingest.max_upload_mib"
            )
        try:
            return Fetched(self._git("cat-file", "blob", item.key), item.mark, item.name)
        except TryAgain as error:
            raise NotFound(f"{item.uri} is not in the copy of the repository any more") from error

    def _fetch_new(self) -> None:
        if not (self._folder / "HEAD").exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._git("init", "--quiet", "--bare")
        branch = self._settings.branch
        wanted = f"+refs/heads/{branch}:refs/ragstone" if branch else "+HEAD:refs/ragstone"
        location = os.path.expanduser(self._settings.location)
        # No more than the newest state: what was before is in our own versions.
        self._git("fetch", "--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", "--", location, wanted)
        self._commit = self._git("rev-parse", "refs/ragstone").decode("ascii").strip()

    def _git(self, *arguments: str) -> bytes:
        command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", *arguments]
        environment = {**os.environ, **_SAFE, "GIT_DIR": str(self._folder)}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except FileNotFoundError as error:
            raise TryAgain("git is not installed: install it, or remove the source") from error
        except subprocess.TimeoutExpired as error:
            raise TryAgain(f"{self._settings.location} did not answer within {_TIMEOUT_S} s") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise TryAgain(f"{_without_secret(self._settings.location)}: git says: {_without_secret(' '.join(said))}")
        return done.stdout


def _without_secret(text: str) -> str:
    """`text` without what stands before the @ of an address."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", text)
