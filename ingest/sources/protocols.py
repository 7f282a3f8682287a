"""Which kinds of buckets this installation can read: by fsspec, and the package that each kind needs."""

from __future__ import annotations

import importlib.util
import re

# Kinds of fsspec that read this machine, other programs or the web: for those there are sources that mind links,
# private addresses and the like.
_NO_BUCKETS = re.compile(
    "arrow_hdfs|async_?wrapper|asynclocal|blockcache|cached|dask|data|dir|dvc|file|filecache|generic|gist|git|github|"
    "https?|jlab|jupyter|libarchive|local|pyscript|reference|simplecache|tar|wandb|zip"
)
# What those need that are modules of fsspec itself.
_NEEDED = {
    "dbfs": "requests",
    "hdfs": "pyarrow",
    "sftp": "paramiko",
    "smb": "smbprotocol",
    "ssh": "paramiko",
    "webhdfs": "requests",
}


def check_bucket(location: str) -> str:
    """The protocol of a bucket's address. Raises ValueError for what is no such address."""
    protocol, separator, _ = location.partition("://")
    if not separator or _NO_BUCKETS.fullmatch(protocol) or "::" in location:
        raise ValueError(f"{location!r} is no bucket: write an address such as s3://bucket/folder")
    return protocol


def require_readable(protocol: str) -> None:
    """Raises ValueError for a protocol that fsspec does not know, and for one whose package is not installed."""
    from fsspec.registry import known_implementations, registry

    if protocol in registry:
        return
    if protocol not in known_implementations:
        buckets = ", ".join(sorted(name for name in known_implementations if not _NO_BUCKETS.fullmatch(name)))
        raise ValueError(f"{protocol}:// is known to no file system of fsspec: use one of {buckets}")
    if importlib.util.find_spec(_module_of(protocol)) is None:
        raise ValueError(f"{protocol}:// needs a package: pip install {package_of(protocol)}")


def package_of(protocol: str) -> str:
    """What pip calls the package of a protocol that fsspec knows."""
    return _module_of(protocol).replace("_", "-")


def _module_of(protocol: str) -> str:
    from fsspec.registry import known_implementations

    known = known_implementations.get(protocol, {"class": protocol})
    return _NEEDED.get(protocol) or str(known["class"]).partition(".")[0]
