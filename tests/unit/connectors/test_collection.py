"""Which files make one delivery; which wait, and which are left alone."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.collection import sidecars
from connectors.collection.arrivals import UNFINISHED_FOR, Fetched, not_yet
from connectors.collection.grouping import Group, GroupKey, plan, readable
from connectors.ledger import Observation
from connectors.sftp.files import RemoteFile
from ipregister.deliveries import Kind
from ipregister.model import Right

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def listed(*paths: str, mtime: int = 1_700_000_000) -> list[RemoteFile]:
    return [RemoteFile(path, 10, mtime) for path in paths]


def grouped(*paths: str, mask: str | None = None) -> list[list[str]]:
    """Return the groups as lists of names."""
    return [
        [member.path.split("/", 2)[2] for member in group.members]
        for group in plan(listed(*paths), mask=mask).groups
    ]


def in_lane(lane: str, *names: str) -> list[str]:
    return [f"Trademarks/{lane}/{name}" for name in names]


def test_ten_parts_of_one_full_extraction_are_one_delivery():
    names = [f"KH_TM_FULL_20261101_{part:04d}.zip" for part in range(1, 11)]
    assert grouped(*in_lane("Full_Extraction", *names)) == [names]


@pytest.mark.parametrize(
    "names",
    [
        ["full_part1of2.zip", "full_part2of2.zip"],
        ["KH 2026-11-01 part 1.zip", "KH 2026-11-01 part 2.zip"],
        ["20261101.img.rar", "20261101.xml.rar"],
        ["part1_TM_20261101.ZIP", "part2_tm_20261101.zip"],
    ],
)
def test_parts_are_told_from_labels(names):
    assert grouped(*in_lane("Full_Extraction", *names)) == [names]


def test_labels_and_dates_keep_deliveries_apart():
    names = ["APP_20261101_1.zip", "REG_20261101_1.zip", "REG_20261102_1.zip"]
    assert grouped(*in_lane("Updates", *names)) == [[name] for name in names]


def test_updates_without_a_date_stand_alone_full_extractions_do_not():
    names = ["changes_1.xml", "changes_2.xml"]
    assert grouped(*in_lane("Updates", *names)) == [["changes_1.xml"], ["changes_2.xml"]]
    assert grouped(*in_lane("Full_Extraction", *names)) == [names]


def test_a_number_that_is_no_day_is_no_date():
    (group,) = plan(listed(*in_lane("Full_Extraction", "KHM20201399.zip"))).groups
    assert group.key.day == ""


def test_a_sub_folder_is_one_delivery():
    names = ["20261101/a.zip", "20261101/images/b.zip", "20261102/a.zip"]
    assert grouped(*in_lane("Full_Extraction", *names)) == [names[:2], names[2:]]


def test_the_profile_mask_wins_over_the_default():
    mask = r"(?i)^PH_(?P<label>Trademarks)_WIPO_[0-9]{8}_[0-9]{6}_(?P<date>[0-9]{8})"
    names = [
        "PH_Trademarks_WIPO_20261030_010203_20261101_1.zip",
        "PH_Trademarks_WIPO_20261031_040506_20261101_2.zip",
    ]
    assert grouped(*in_lane("Updates", *names), mask=mask) == [names]
    (group,) = plan(listed(*in_lane("Updates", *names)), mask=mask).groups
    assert group.key == GroupKey(Right.TRADEMARKS, Kind.UPDATE, "", "20261101", "trademarks")


def test_folder_names_are_read_whatever_their_case():
    paths = ["TRADEMARKS/updates/a.xml", "Designs/FULL EXTRACTION/b.zip", "patents/test/c.xml"]
    keys = {(group.key.right, group.key.kind) for group in plan(listed(*paths)).groups}
    assert keys == {
        (Right.TRADEMARKS, Kind.UPDATE),
        (Right.DESIGNS, Kind.FULL_EXTRACTION),
        (Right.PATENTS, Kind.TEST),
    }


def test_files_outside_the_lanes_are_quarantined_with_the_reason():
    planned = plan(listed("readme.txt", "Trademarks/x.zip", "Marks/Updates/y.zip", ".bash_history"))
    assert planned.groups == []
    assert [problem.path for problem in planned.quarantined] == [
        "readme.txt",
        "Trademarks/x.zip",
        "Marks/Updates/y.zip",
    ]
    assert all("Trademarks/Updates" in problem.reason for problem in planned.quarantined)


@pytest.mark.parametrize(
    "name",
    [
        "a.zip.filepart",
        "a.zip.part",
        "a.zip.tmp",
        "a.zip.partial",
        "a.zip.1a2b3c4d.partial",
        ".in.a.zip",
        "a.zip~",
        ".a.zip.swp",
    ],
)
def test_an_upload_under_way_is_no_delivery_and_holds_its_group_up(name):
    alone = plan(listed(*in_lane("Updates", name)))
    assert (alone.groups, alone.uploads) == ([], listed(*in_lane("Updates", name)))
    (group,) = plan(listed(*in_lane("Updates", "a.zip", name))).groups
    assert [file.path for file in group.unfinished] == in_lane("Updates", name)


@pytest.mark.parametrize("name", ["a.zip.md5", "a.done", "manifest.txt"])
def test_what_speaks_of_nothing_that_is_there_is_no_upload(name):
    files = listed(*in_lane("Updates", name))
    found = plan(files)
    assert (found.groups, found.uploads, found.alone) == ([], [], files)


def test_a_checksum_file_of_a_part_that_is_not_there_is_alone():
    files = in_lane("Updates", "x_20261101_1.zip", "x_20261101_2.zip.md5", "_done", "manifest.txt")
    found = plan(listed(*files))
    assert [file.path for file in found.alone] == files[1:2]


def test_a_dot_file_is_ignored():
    assert grouped(*in_lane("Updates", ".DS_Store", "a.xml")) == [["a.xml"]]


@pytest.mark.parametrize(
    "name", ["a\nb.zip", "a\u202efdp.zip", "a\udce2.zip", "a\x1b[31m.zip", "a\u2028b.zip"]
)
def test_an_odd_name_is_quarantined_and_shown_safely(name):
    planned = plan(listed(*in_lane("Updates", name, "fine.zip")))
    assert [len(group.members) for group in planned.groups] == [1]
    (problem,) = planned.quarantined
    assert "rename" in problem.reason
    assert problem.path.isprintable()
    assert readable(name) in problem.path


def test_names_in_the_offices_scripts_are_not_odd():
    names = ["ពាណិជ្ជសញ្ញា\u200b១.xml", "เครื่องหมาย ๒.xml", "ກາໝາຍ.xml", "đơn nhãn hiệu.xml"]
    found = [name for group in grouped(*in_lane("Updates", *names)) for name in group]
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize(
    "sidecar", ["x_20261101.zip.md5", "x_20261101.md5", "X_20261101.ZIP.sha256"]
)
def test_a_checksum_file_belongs_to_its_file(sidecar):
    (group,) = plan(listed(*in_lane("Updates", "x_20261101.zip", sidecar))).groups
    assert [member.path for member in group.members] == in_lane("Updates", "x_20261101.zip")
    assert [file.path for file in group.sidecars.values()] == in_lane("Updates", sidecar)


def test_a_checksum_file_alone_is_no_delivery():
    assert grouped(*in_lane("Updates", "x.zip.md5")) == []


@pytest.mark.parametrize(
    "marker", ["x_20261101.zip.done", "x_20261101.done", "manifest.txt", "_DONE"]
)
def test_a_marker_speaks_for_the_group(marker):
    (group,) = plan(listed(*in_lane("Updates", "x_20261101.zip", marker))).groups
    assert [file.path for file in group.markers] == in_lane("Updates", marker)


def test_a_nameless_marker_among_several_groups_speaks_for_none():
    planned = plan(listed(*in_lane("Updates", "x_20261101.zip", "x_20261102.zip", "manifest.txt")))
    assert [group.markers for group in planned.groups] == [[], []]


@pytest.mark.parametrize(
    "marker",
    [
        "Trademarks/Updates/x_20261101.zip.done",
        "Trademarks/Updates/part/_DONE",
        "Trademarks/Full_Extraction/_DONE",
        "Designs/Updates/manifest.txt",
    ],
)
def test_a_marker_of_another_day_or_folder_completes_nothing(marker):
    planned = plan(listed("Trademarks/Updates/x_20261108_1.zip", marker))
    assert [group.markers for group in planned.groups] == [[]]
    assert [file.path for file in planned.alone] == [marker]


def test_a_checksum_file_is_for_the_file_beside_it():
    names = in_lane("Updates", "w/a/x.zip", "w/a/x.zip.md5", "w/b/x.zip", "w/b/x.zip.md5")
    (group,) = plan(listed(*names)).groups
    assert {path: file.path for path, file in group.sidecars.items()} == {
        names[0]: names[1],
        names[2]: names[3],
    }


def test_groups_come_in_the_offices_order_whatever_the_order_of_the_listing():
    names = in_lane("Updates", "KH_20261103.zip", "KH_20261101.zip", "KH_20261102.zip")
    days = [group.key.day for group in plan(listed(*names)).groups]
    assert days == ["20261101", "20261102", "20261103"]


def observed(group: Group, at: datetime = AT) -> dict[str, Observation]:
    return {file.path: Observation(file.size, file.mtime, at) for file in group.files()}


def one_group(*names: str) -> Group:
    (group,) = plan(listed(*in_lane("Updates", *names))).groups
    return group


@pytest.mark.parametrize(("seconds", "left"), [(0, 2.0), (1.5, 0.5), (2, None), (60, None)])
def test_quiet_is_counted_from_our_own_first_sight(seconds, left):
    group = one_group("x_20261101.zip")
    waiting = not_yet(group, observed(group), AT + timedelta(seconds=seconds), 2)
    assert (waiting and waiting.seconds) == left


def test_one_member_that_moves_keeps_the_whole_group_waiting():
    group = one_group("x_20261101_1.zip", "x_20261101_2.zip")
    known = observed(group)
    known[group.members[1].path] = Observation(11, 1, AT + timedelta(seconds=59))
    assert not_yet(group, known, AT + timedelta(seconds=60), 2) is not None


def test_a_done_file_completes_at_once_unless_it_is_older_than_the_file():
    group = one_group("x_20261101.zip", "x_20261101.done")
    assert not_yet(group, observed(group), AT, 60) is None
    group.members.append(RemoteFile(*in_lane("Updates", "x_20261101_2.zip"), 10, 1_800_000_000))
    assert not_yet(group, observed(group), AT, 60) is not None


def test_a_temporary_file_holds_its_group_up_until_it_is_given_up():
    group = one_group("x_20261101_1.zip", "x_20261101_2.zip.filepart")
    soon, late = AT + timedelta(minutes=5), AT + UNFINISHED_FOR
    waiting = not_yet(group, observed(group), soon, 2)
    assert waiting is not None
    assert waiting.reason == "x_20261101_2.zip.filepart is still being uploaded"
    assert waiting.seconds is None
    assert not_yet(group, observed(group), late, 2) is None


@pytest.mark.parametrize("beside", ["manifest.txt", "x_20261101.zip.md5"])
def test_a_delivery_is_not_judged_before_what_speaks_of_it_is_here(beside):
    """The line broke after the file: what the office says of it was not read."""
    group = one_group("x_20261101.zip", beside)
    (member,), (words,) = group.members, in_lane("Updates", beside)
    fetched = Fetched(digests={member.path: "a" * 64}, stopped="the line broke")
    assert fetched.blocks(group) == f"{beside} is not here yet: the line broke"
    fetched.texts[words] = "x_20261101.zip"
    assert fetched.blocks(group) is None
    # What is too large for such words is never fetched.
    group.markers, group.sidecars = [RemoteFile(words, sidecars.MAX_BYTES + 1, 0)], {}
    assert Fetched(fetched.digests, stopped="the line broke").blocks(group) is None


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (f"{'a' * 32}  x.zip\n", "a" * 32),
        (f"MD5 (x.zip) = {'B' * 32}", "b" * 32),
        (f"{'c' * 64} *x.zip", "c" * 64),
        ("d" * 40, None),
        ("", None),
    ],
)
def test_a_digest_is_found_in_the_usual_forms(text, digest):
    assert sidecars.digest_in(text) == digest


def test_a_manifest_names_files_and_says_what_is_missing():
    text = f"part1.zip\n{'a' * 64}  Part2.ZIP\n# three of them: part3.zip\n"
    assert sidecars.promised(text) == {"part1.zip": None, "part2.zip": "a" * 64, "part3.zip": None}
    assert sidecars.missing(text, ["part1.zip", "PART2.zip"]) == ["part3.zip"]
