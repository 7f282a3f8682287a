"""A git repository: the files of one branch or tag, read from a bare copy. Nothing of it is ever checked out or run."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ingest.ending import ending_with_this
from ingest.errors import DocumentTooLarge, MissingDriver, NotFound, SourceUnusable, TryAgain
from ingest.identity import is_uri
from ingest.sources.types import Fetched, LeftOut, Listed, SourceSettings, Unlisted

_TIMEOUT_S = 600.0
_LOOK_S = 0.1
_MIB = 1024 * 1024
_ENTRY = re.compile(rb"(\d+) (?:blob|commit) ([0-9a-f]+) +(\d+|-)\t(.*)", re.S)
_REGULAR = (b"100644", b"100755")
_LEFT_OUT = {b"120000": "symbolic links", b"160000": "submodules (each can be a source of its own)"}
_NO_SUCH_REF = "couldn't find remote ref"
# What git says of repositories and branches that are not there, or not for us: that does not pass by itself.
_FOR_A_PERSON = re.compile(
    _NO_SUCH_REF + r"|repository .{0,500}not found|does not appear to be a git repository|not a git repository"
    r"|project you were looking for could not be found|Authentication failed|could not read (?:Username|Password)"
    r"|Permission denied|access denied|Host key verification failed|returned error: 40[0134]|not valid: is this a git"
    r"|certificate (?:problem|verification)|dubious ownership|transport '\w+' not allowed|find remote helper",
    re.I,
)
# What can wait for ever, or long.
_LONG = ("fetch", "fsck", "gc")
# Each fetch that brings something leaves a pack.
_MOST_PACKS = 20
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
_OPTIONS = ("core.hooksPath=/dev/null", "protocol.ext.allow=never", "gc.auto=0", "maintenance.auto=false")
# What would have git work on another repository than ours, as it does below a hook.
_FOREIGN = re.compile("GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|NAMESPACE|OBJECT_DIRECTORY|ALTERNATE_.*|QUARANTINE.*)")


class GitReader:
    """Marks are the hashes of the files' contents: an unchanged file is never read."""

    def __init__(self, settings: SourceSettings, folder: Path) -> None:
        """`folder` is where the bare copy is kept."""
        self._settings = settings
        self._folder = folder
        self._sizes: dict[str, int] = {}

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed | Unlisted | LeftOut]:
        """Fetches what is new, then the files of the branch, but for hidden ones. Links and submodules are left out.

        Raises TryAgain where the repository can't be reached, SourceUnusable where it or its branch is not there or is
        not for us, and MissingDriver without git.
        """
        with self._alone():
            try:
                commit = self._fetched(stop)
                tree = self._git("ls-tree", "-r", "-l", "-z", "--full-tree", commit, stop=stop)
            except TryAgain:
                self._remove_damaged(stop)
                raise
        below = self._settings.subfolder.strip("/")
        for entry in tree.split(b"\0"):
            found = _ENTRY.fullmatch(entry)
            if found is None:
                continue
            path = found[4].decode("utf-8", "surrogateescape")
            within = path.removeprefix(f"{below}/") if below else path
            if (below and within == path) or any(part.startswith(".") for part in within.split("/")):
                continue
            uri = _written(within)
            if found[1] not in _REGULAR:
                yield LeftOut(uri, _LEFT_OUT.get(found[1], "entries that are no files"))
                continue
            blob = found[2].decode("ascii")
            self._sizes[blob] = int(found[3])
            yield Listed(blob, uri, uri.rsplit("/", 1)[-1], blob)

    def may_be_empty(self, since: datetime) -> bool:
        """A branch that was fetched is what it is."""
        return True

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

    def close(self) -> None:
        """Holds nothing."""

    def _fetched(self, stop: Callable[[], bool]) -> str:
        """The newest commit of the branch, which is in the copy then."""
        if not (self._folder / "HEAD").exists():
            self._git("init", "--quiet", "--bare", stop=stop)
        self._fetch_wanted(stop)
        if len(list(self._folder.glob("objects/pack/*.pack"))) > _MOST_PACKS:
            self._git("gc", "--quiet", "--prune=now", stop=stop)
        return self._git("rev-parse", "refs/ragstone^{commit}", stop=stop).decode("ascii").strip()

    def _fetch_wanted(self, stop: Callable[[], bool]) -> None:
        """The branch of the name that is set, or else the tag."""
        location, branch = os.path.expanduser(self._settings.location), self._settings.branch
        full = ["HEAD" if branch is None else branch]
        if branch is not None and not branch.startswith("refs/"):
            full = [f"refs/heads/{branch}", f"refs/tags/{branch}"]
        for number, ref in enumerate(full, 1):
            # No more than the newest state: what was before is in our own versions.
            fetch = ("fetch", "--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", "--", location)
            try:
                self._git(*fetch, f"+{ref}:refs/ragstone", stop=stop)
                return
            except SourceUnusable as error:
                if _NO_SUCH_REF not in str(error):
                    raise
                if number == len(full):
                    raise SourceUnusable(
                        f"{self._settings.location}: git says: {_NO_SUCH_REF} {branch or 'HEAD'}: name a branch, a "
                        "tag, or a whole refs/… that is there. Nothing is removed."
                    ) from error

    def _remove_damaged(self, stop: Callable[[], bool]) -> None:
        """The next try makes a copy anew that a power cut has damaged."""
        try:
            self._git("fsck", "--connectivity-only", "--no-dangling", stop=stop)
        except TryAgain:
            if not stop():
                shutil.rmtree(self._folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Waits for no git of a worker that was killed: the lock is theirs until they end. Raises TryAgain."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._folder / "ragstone-at-work", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Nobody is at work here, so these are of a git that was killed, and would stop all others.
            for left in (*self._folder.glob("*.lock"), *self._folder.glob("refs/**/*.lock")):
                left.unlink(missing_ok=True)
            yield
        except BlockingIOError as error:
            raise TryAgain(f"another git is still at work in {self._folder}") from error
        finally:
            os.close(self._lock)
            self._lock = -1

    _lock = -1

    def _git(self, *arguments: str, stop: Callable[[], bool] = lambda: False) -> bytes:
        options = [part for option in _OPTIONS for part in ("-c", option)]
        kept = {name: value for name, value in os.environ.items() if not _FOREIGN.fullmatch(name)}
        command = ["git", *options, *arguments]
        if arguments[0] in _LONG:  # nobody would end it when this process is killed
            command = ending_with_this(command)
        try:
            process = subprocess.Popen(
                command,
                env={**kept, **_SAFE, "GIT_DIR": str(self._folder)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[self._lock] if self._lock >= 0 else [],
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise MissingDriver("git is not installed: install it, or remove the source") from error
        said, complaint = self._ended(process, stop)
        if process.returncode != 0:
            lines = " ".join(complaint.decode("utf-8", "replace").split())
            message = f"{self._settings.location}: git says: {lines[:1000]}"
            if _FOR_A_PERSON.search(lines):
                raise SourceUnusable(f"{message}. Mend it, or change the source. Nothing is removed.")
            raise TryAgain(message)
        return said

    def _ended(self, process: subprocess.Popen[bytes], stop: Callable[[], bool]) -> tuple[bytes, bytes]:
        """What it said on both channels. Raises TryAgain when it takes too long, or is to stop."""
        until = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                return process.communicate(timeout=_LOOK_S)
            except subprocess.TimeoutExpired:
                if not stop() and time.monotonic() < until:
                    continue
            process.terminate()
            process.communicate()
            raise TryAgain(f"{self._settings.location} did not answer within {_TIMEOUT_S:g} s")


def _written(path: str) -> str:
    """A path as a name of a document: bytes that are no UTF-8 and what is not printable as `\\xe9`, a backslash as two.

    No two paths are written alike.
    """
    if "\\" not in path and is_uri(path):
        return path
    return "".join(_escaped(character) for character in path)


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if is_uri(character):
        return character
    return "".join(f"\\x{octet:02x}" for octet in character.encode("utf-8", "surrogateescape"))
