"""Files of greenlets: what gevent's tests do not say."""

import errno
import gc
import os

import pytest

pytest.importorskip("greenlet")

import manyhands.gevent as gevent
from manyhands.gevent.fileobject import FileObjectPosix


def test_more_than_a_pipe_holds():
    reads, writes = os.pipe()
    data = os.urandom(1 << 20)

    def write():
        with FileObjectPosix(writes, "wb") as file:
            file.write(data)

    writer = gevent.spawn(write)
    with FileObjectPosix(reads, "rb") as file:
        assert file.read() == data
    writer.get()


def test_without_a_buffer_all_is_written():
    reads, writes = os.pipe()
    data = os.urandom(1 << 18)

    def write():
        with FileObjectPosix(writes, "wb", 0, atomic_write=True) as file:
            return file.write(data)

    writer = gevent.spawn(write)
    with FileObjectPosix(reads, "rb") as file:
        assert file.read() == data
    assert writer.get() == len(data)


def test_closing_ends_a_read_elsewhere():
    reads, writes = os.pipe()
    file = FileObjectPosix(reads, "rb", 0)

    def read():
        with pytest.raises(OSError, match="closed in another") as caught:
            file.read(1)
        return caught.value.errno

    reader = gevent.spawn(read)
    gevent.sleep(0)
    file.close()
    assert reader.get() == errno.EBADF
    os.close(writes)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(reads)


def test_a_descriptor_that_is_not_ours_stays_open():
    reads, writes = os.pipe()
    FileObjectPosix(reads, "rb", closefd=False).close()
    os.close(reads)
    os.close(writes)


def test_what_is_closed_says_so():
    reads, writes = os.pipe()
    os.close(writes)
    file = FileObjectPosix(reads, "rb")
    read = file.read
    file.close()
    file.close()
    assert file.closed
    with pytest.raises((OSError, ValueError), match="closed"):
        file.read()
    with pytest.raises((OSError, ValueError), match="closed"):
        read()


def test_a_descriptor_that_is_none(recwarn):
    reads, writes = os.pipe()
    os.close(reads)
    os.close(writes)
    with pytest.raises(OSError, match="Bad file"):
        FileObjectPosix(writes, "wb")
    gc.collect()
    assert not recwarn.list
