"""Folders in which no heal deletes or rotates anything, by their names.

What can be told from a name is told when the file is loaded; the rest is told when the folder is opened.
"""

from __future__ import annotations

from collections.abc import Collection

_TREES = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
)
"""Of these, nothing at all, but for what lies deep enough in ``/usr/local``."""
_ALONE = frozenset(
    {
        "/", "/home", "/lost+found", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local",
        "/usr/local/bin", "/usr/local/etc", "/usr/local/lib", "/usr/local/sbin", "/usr/local/share", "/var",
        "/var/lib", "/var/spool", "/var/tmp",
    }
)  # fmt: skip
"""Of these, not the folder itself, but folders in it."""
_LOCAL = "/usr/local/"


def plain(path: str) -> str:
    """A full path in one spelling: no slash too many, no dots that mean nothing."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def forbidden(folder: str, homes: Collection[str], *, deep: bool) -> str:
    """Why nothing may be done in this folder; empty if its name speaks against nothing.

    ``folder`` is a :func:`plain` path; ``homes`` are the users'.
    """
    if ".." in folder.split("/"):
        return f"{folder} has .. in it; name the folder where it is"
    if folder in _ALONE:
        return f"{folder} is a folder of the system; name one of your own in it"
    tree = next((each for each in _TREES if (folder + "/").startswith(each + "/")), "")
    if tree and not folder.startswith(_LOCAL):
        return f"{folder} is a folder of the system, where nothing is old enough to go"
    if folder in homes:
        return f"{folder} is somebody's home; name a folder in it"
    inside = sorted(each for each in homes if deep and each.startswith(folder + "/"))
    return f"{inside[0]} is somebody's home, and lies in {folder}" if inside else ""
