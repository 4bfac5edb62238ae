"""Places in the feed of a store that was restored or made anew: none is taken for one of before."""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.serving.gaps import forget_places, leave_gap, places
from connectors.serving.schema import connect
from connectors.serving_store import (
    Mark,
    PlaceUnknown,
    Publication,
    ServingRow,
    ServingStore,
    Space,
)
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

AT = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
KH: Space = ("KH", Right.TRADEMARKS)
ALL = Grant(frozenset(Disclosure))
PUBLISHED = replace(ALL, rule=RowRule(publishedOnly=True), since=1)
NO_FREE_TEXT = replace(ALL, freeText=False, since=1)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[ServingStore]]:
    """Two stores: what is lost, and what takes its place."""
    made = [ServingStore(tmp_path / f"{name}.sqlite") for name in ("lost", "restored")]
    yield made
    for store in made:
        store.close()


def publish(store: ServingStore, *names: str) -> None:
    core = {name: b'{"recordId":"%b"' % name.encode() for name in names}
    rows = [
        ServingRow(name, 1, name, {Disclosure.CORE: core[name]}, published=True) for name in names
    ]
    store.publish(Publication("-".join(names), *KH, AT, rows))


def restored(store: ServingStore) -> None:
    with closing(connect(store.path, writer=True)) as connection:
        leave_gap(connection, AT)


def read(store: ServingStore, grant: Grant, marks: list[Mark] | None = None) -> list[Mark]:
    return store.changes({KH: grant}, marks, 100).marks


def test_a_right_first_published_after_a_backup_counts_on_from_the_gap(
    stores: list[ServingStore],
) -> None:
    """It is not in the backup: counting from one, its readers would miss what is another now."""
    lost, again = stores
    restored(again)
    publish(lost, "a", "b")
    marks = read(lost, ALL)
    publish(again, "a", "c")
    with pytest.raises(PlaceUnknown):
        read(again, ALL, marks)
    assert read(again, ALL, read(again, ALL)) == read(again, ALL)


def test_a_right_with_nothing_published_yet_counts_on_from_the_gap(
    stores: list[ServingStore],
) -> None:
    lost, again = stores
    for store in stores:
        store.prepare(*KH, PUBLISHED)
    restored(again)
    publish(lost, "a", "b")
    publish(again, "a", "c")
    for grant in (ALL, PUBLISHED):
        with pytest.raises(PlaceUnknown):
            read(again, grant, read(lost, grant))


@pytest.mark.parametrize("grant", [PUBLISHED, NO_FREE_TEXT])
def test_a_view_made_after_a_restore_counts_on_from_the_gap(
    stores: list[ServingStore], grant: Grant
) -> None:
    lost, again = stores
    for store in stores:
        publish(store, "a")
    restored(again)
    lost.prepare(*KH, grant)
    publish(lost, "b")
    marks = read(lost, grant)
    later = replace(grant, since=2)
    again.prepare(*KH, later)
    publish(again, "c")
    with pytest.raises(PlaceUnknown):
        read(again, later, marks)
    assert read(again, later, read(again, later)) == read(again, later)


def test_a_view_made_after_the_store_was_made_anew_counts_on_from_there(
    stores: list[ServingStore],
) -> None:
    """Only views in use are made anew; that of an authorization taken back comes back later."""
    lost, again = stores
    for store in stores:
        publish(store, "a")
    lost.prepare(*KH, PUBLISHED)
    publish(lost, "b")
    marks = read(lost, PUBLISHED)
    with closing(connect(again.path, writer=True)) as connection:
        forget_places(connection, AT, whole=False)
    later = replace(PUBLISHED, since=2)
    again.prepare(*KH, later)
    publish(again, "c")
    with pytest.raises(PlaceUnknown):
        read(again, later, marks)


def test_the_whole_counts_as_before_where_only_views_are_others(
    stores: list[ServingStore],
) -> None:
    for store, anew in zip(stores, (False, True), strict=True):
        with closing(connect(store.path, writer=True)) as connection:
            if anew:
                forget_places(connection, AT, whole=False)
        publish(store, "a")
    found = []
    for store in stores:
        with closing(connect(store.path, writer=False)) as connection:
            found.append(places(connection))
    assert found[0] == found[1]


def test_an_empty_store_that_was_restored_is_no_store_made_anew(
    stores: list[ServingStore],
) -> None:
    restored(stores[0])
    found = []
    for store in stores:
        with closing(connect(store.path, writer=False)) as connection:
            found.append(places(connection))
    assert found[0] != found[1]
