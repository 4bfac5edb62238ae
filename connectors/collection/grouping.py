"""Which files of an office's folders belong together, and which are left alone.

Pure: a listing in, a plan out; nothing is fetched, remembered or timed here. A delivery is
all files of one lane that the profile's grouping mask, a date and label in the name, or a
sub-folder hold together. Fetching and proving is ``collector``.

Source: the packaging habits of the offices; the guide ``docs/guides/collect-by-sftp.md``.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.sftp.files import RemoteFile
from connectors.sftp.listing import Problem
from ipregister.dates import st2_date
from ipregister.deliveries import FOLDERS, RIGHT_FOLDERS, Kind
from ipregister.model import Right

_RIGHTS = {name.casefold(): right for right, name in RIGHT_FOLDERS.items()}
_LANES = {re.sub(r"[^a-z]", "", name.casefold()): kind for kind, name in FOLDERS.items()} | {
    "update": Kind.UPDATE
}

_UNFINISHED = re.compile(
    r"^(?:\.in\.(?P<lftp>.+)|(?P<name>.+?)(?:\.[0-9a-z]{8})?(?:\.(?:filepart|part|tmp|partial|swp)|~))$",
    re.IGNORECASE,
)
"""Names of uploads under way: WinSCP, lftp, rclone, browsers, editors."""

_SIDECAR = re.compile(r"^(?P<name>.+)\.(?:md5|sha256)(?:sums?)?$", re.IGNORECASE)
_MARKER = re.compile(
    r"^(?:(?P<name>.+)\.done|_?done|_success|manifest(?:\.[a-z0-9]+)?)$", re.IGNORECASE
)
_DAY = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)([01][0-9])\2([0-3][0-9])(?![0-9])")
_PART = re.compile(r"^(?:part|vol|volume|seq|p|v)?[0-9]*(?:of[0-9]+)?$")
_EXTENSION = re.compile(r"\.(?:zip|rar|7z|gz|tar|xml|img|json|jsonl|csv|txt)$", re.IGNORECASE)
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


class GroupKey(NamedTuple):
    """What the files of one delivery share. ``day`` is ``YYYYMMDD`` or empty."""

    right: Right
    kind: Kind
    folder: str
    day: str
    label: str


@dataclass(slots=True)
class Group:
    """The files of one lane that make one delivery.

    ``sidecars`` are checksum files by the path of the file they speak of; ``markers`` say
    that everything is there; ``unfinished`` are uploads under way that belong here.
    """

    key: GroupKey
    members: list[RemoteFile] = field(default_factory=list)
    sidecars: dict[str, RemoteFile] = field(default_factory=dict)
    markers: list[RemoteFile] = field(default_factory=list)
    unfinished: list[RemoteFile] = field(default_factory=list)

    def files(self) -> Iterator[RemoteFile]:
        """Yield everything whose change means that the office is still at work."""
        yield from self.members
        yield from self.sidecars.values()
        yield from self.markers
        yield from self.unfinished


@dataclass(slots=True)
class Plan:
    """What one listing amounts to: groups in the office's order, and what is left alone.

    ``uploads`` are those under way of which nothing else is there yet, ``alone`` checksum files
    and markers that speak of nothing that is there.
    """

    groups: list[Group] = field(default_factory=list)
    quarantined: list[Problem] = field(default_factory=list)
    uploads: list[RemoteFile] = field(default_factory=list)
    alone: list[RemoteFile] = field(default_factory=list)


class _Placed(NamedTuple):
    """A file of a lane: ``within`` is its path inside the lane folder."""

    file: RemoteFile
    right: Right
    kind: Kind
    within: str

    @property
    def name(self) -> str:
        return self.within.rpartition("/")[2]


def plan(files: Iterable[RemoteFile], *, mask: str | re.Pattern[str] | None = None) -> Plan:
    """Sort an office's files into groups.

    Args:
        files: the listing; paths relative to the office's folder.
        mask: the profile's regular expression over file names, with the group ``date``
            and optionally ``label``; names it does not fit are grouped by the default.

    Returns:
        Groups ordered by right, lane, day and label. Files outside the nine lanes and files
        with a name nobody can handle safely are quarantined, with the reason.
    """
    result = Plan()
    placed = [found for file in files if (found := _place(file, result)) is not None]
    pattern = re.compile(mask) if mask else None
    groups: dict[GroupKey, Group] = {}
    extras = []
    for item in placed:
        if _is_extra(item.name):
            extras.append(item)
        elif not item.name.startswith("."):
            key = _key(item, item.name, pattern)
            groups.setdefault(key, Group(key)).members.append(item.file)
    for item in extras:
        _attach(item, groups, pattern, result)
    result.groups = [groups[key] for key in sorted(groups)]
    for group in result.groups:
        group.members.sort(key=lambda file: file.path)
    return result


def name_in_lane(file: RemoteFile) -> str:
    """Return a file's path inside its lane folder, the name an office knows it by."""
    return "/".join(file.path.split("/")[2:])


def readable(path: str) -> str:
    """Return a path that can be shown: what could mislead a reader is written as an escape."""
    return "".join(
        char.encode("unicode_escape").decode() if _is_odd(char) else char for char in path
    )


def _is_odd(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _BIDI


def _place(file: RemoteFile, result: Plan) -> _Placed | None:
    if any(map(_is_odd, file.path)):
        reason = "the name holds control, text-direction or non-UTF-8 characters; rename the file"
        result.quarantined.append(Problem(readable(file.path), reason, file))
        return None
    parts = file.path.split("/")
    right = _RIGHTS.get(parts[0].casefold())
    kind = _LANES.get(re.sub(r"[^a-z]", "", parts[1].casefold())) if len(parts) > 2 else None
    if right is None or kind is None:
        # Nor is what a login keeps for itself a delivery: .ssh/authorized_keys.
        if not any(part.startswith(".") for part in parts):
            reason = (
                "not in a folder of a right and lane, such as Trademarks/Updates; move it there"
            )
            result.quarantined.append(Problem(file.path, reason, file))
        return None
    return _Placed(file, right, kind, "/".join(parts[2:]))


def _is_extra(name: str) -> bool:
    return bool(_UNFINISHED.match(name) or _SIDECAR.match(name) or _MARKER.match(name))


def _attach(
    item: _Placed,
    groups: dict[GroupKey, Group],
    mask: re.Pattern[str] | None,
    result: Plan,
) -> None:
    """Give an upload under way, a checksum file or a marker to the group it speaks of.

    One that speaks of nothing that is there has no effect until its file arrives.
    """
    if match := _UNFINISHED.match(item.name):
        name = match["lftp"] or match["name"].lstrip(".")
        if group := groups.get(_key(item, name, mask)):
            group.unfinished.append(item.file)
        else:
            result.uploads.append(item.file)
    elif match := _SIDECAR.match(item.name):
        group = groups.get(_key(item, match["name"], mask))
        members = group.members if group else ()
        spoken_of = [member.path for member in _spoken_of(members, item.file.path, match["name"])]
        if group is not None and spoken_of:
            group.sidecars |= dict.fromkeys(spoken_of, item.file)
        else:
            result.alone.append(item.file)
    elif match := _MARKER.match(item.name):
        key = _key(item, match["name"] or item.name, mask)
        here = [other for other in groups if other[:3] == _folder_key(item)]
        group = groups.get(key)
        # A marker left of another day's delivery would end the wait for the rest of this one.
        if group is None and len(here) == 1 and key.day in ("", here[0].day):
            group = groups[here[0]]
        if group is not None:
            group.markers.append(item.file)
        elif match["name"] or not here:
            result.alone.append(item.file)


def _spoken_of(members: Sequence[RemoteFile], sidecar: str, name: str) -> Iterator[RemoteFile]:
    """Yield the member a checksum file is for: ``x.zip.md5`` or ``x.md5`` for ``x.zip``."""
    folder = sidecar.rpartition("/")[0]
    for member in members:
        place, _, own = member.path.rpartition("/")
        if place == folder and own.casefold() in (name.casefold(), f"{name}.zip".casefold()):
            yield member


def speaks_of(file: RemoteFile) -> str:
    """Return how the path of what a checksum file or marker is for begins, in lower case."""
    folder, slash, name = file.path.rpartition("/")
    match = _SIDECAR.match(name) or _MARKER.match(name)
    return f"{folder}{slash}{(match and match['name']) or ''}".casefold()


def _folder_key(item: _Placed) -> tuple[Right, Kind, str]:
    """Return right, lane and sub-folder; several levels below count as one."""
    return item.right, item.kind, item.within.split("/")[0] if "/" in item.within else ""


def _key(item: _Placed, name: str, mask: re.Pattern[str] | None) -> GroupKey:
    right, kind, folder = _folder_key(item)
    if folder:
        return GroupKey(right, kind, folder, _day(folder)[0], "")
    if mask is not None and (match := mask.search(name)):
        found = match.groupdict()
        return GroupKey(
            right, kind, "", found.get("date") or "", (found.get("label") or "").casefold()
        )
    day, rest = _day(_bare(name))
    words = re.split(r"[\W_]+", rest.casefold())
    label = " ".join(word for word in words if not _PART.match(word))
    if not day and kind is Kind.UPDATE:
        # Without a date nothing says that two updates are one; each stands for itself.
        label = name.casefold()
    return GroupKey(right, kind, "", day, label)


def _bare(name: str) -> str:
    """Return a name without its extensions (``20261122.img.rar`` gives ``20261122``)."""
    while (shorter := _EXTENSION.sub("", name)) != name and shorter:
        name = shorter
    return name


def _day(name: str) -> tuple[str, str]:
    """Return the last day in a name as ``YYYYMMDD``, and the name without any day."""
    days = ["".join(match.group(1, 3, 4)) for match in _DAY.finditer(name)]
    real = [day for day in days if st2_date(day) is not None]
    return (real[-1], _DAY.sub(" ", name)) if real else ("", name)
