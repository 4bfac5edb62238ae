"""The buffer between the SSH connection's thread and the reader's, beside Paramiko's own."""

import random
import threading

import pytest
from paramiko.buffered_pipe import BufferedPipe, PipeTimeout

from connectors.sftp.inflow import Inflow


@pytest.mark.parametrize("seed", range(20))
def test_it_gives_what_paramikos_own_gives(seed):
    source = random.Random(seed)
    ours, theirs = Inflow(), BufferedPipe()
    ready = [threading.Event(), threading.Event()]
    for pipe, event in zip((ours, theirs), ready, strict=True):
        pipe.set_event(event)
    for _ in range(200):
        match source.randrange(4):
            case 0 | 1:
                data = source.randbytes(source.choice([0, 1, 10, 1000]))
                ours.feed(data)
                theirs.feed(data)
            case 2 if len(theirs):
                size = source.choice([1, 7, 500, 5000])
                assert ours.read(size, 0) == theirs.read(size, 0)
            case 3 if source.random() < 0.1:
                assert ours.empty() == theirs.empty()
        assert (len(ours), ours.read_ready()) == (len(theirs), theirs.read_ready())
        assert len(theirs) == 0 or ready[0].is_set()
    ours.close()
    theirs.close()
    while theirs_left := theirs.read(99):
        assert ours.read(99) == theirs_left
    assert ours.read(99) == b""
    assert [event.is_set() for event in ready] == [True, True]


def test_reading_waits_for_what_comes_and_not_longer_than_asked():
    inflow = Inflow()
    with pytest.raises(PipeTimeout):
        inflow.read(10, 0.0)
    feeder = threading.Timer(0.01, inflow.feed, [b"late"])
    feeder.start()
    assert inflow.read(10, 20.0) == b"late"
    closer = threading.Timer(0.01, inflow.close)
    closer.start()
    assert inflow.read(10, 20.0) == b""
    feeder.join()
    closer.join()
