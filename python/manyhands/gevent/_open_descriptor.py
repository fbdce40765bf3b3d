"""How a file is to be opened, and the streams that come of it."""

import contextlib
import io
import os
import warnings


class FlushingBufferedWriter(io.BufferedWriter):
    """Has written what it was given when `write` returns."""

    def write(self, b):
        written = super().write(b)
        self.flush()
        return written


class WriteallMixin:
    """Has a `writeall` above a `write` that may write less than it was given."""

    def writeall(self, value):
        """Write all of `value`, however many turns that takes; returns its length."""
        rest = memoryview(value).cast("B")
        while rest:
            rest = rest[super().write(rest) :]
        return len(value)


class WriteIsWriteallMixin(WriteallMixin):
    """Writes all that it was given."""

    def write(self, value):
        """Write all of `value`; returns its length."""
        return self.writeall(value)


class FileIO(io.FileIO):
    """A class whose objects may become `WriteallFileIO`."""

    __slots__ = ()


class WriteallFileIO(WriteIsWriteallMixin, io.FileIO):
    """Writes all that it was given."""


class OpenDescriptor:
    """What `open` is told: looked at when it is made, and opened by `opened()`."""

    default_buffer_size = io.DEFAULT_BUFFER_SIZE

    def __init__(
        self,
        fobj,
        mode="r",
        bufsize=None,
        close=None,
        encoding=None,
        errors=None,
        newline=None,
        buffering=None,
        closefd=None,
        atomic_write=False,
    ):
        self.closefd = _either("closefd", closefd, "close", close, True)
        self.buffering = _either("buffering", buffering, "bufsize", bufsize, -1)
        if not hasattr(fobj, "fileno") and not isinstance(fobj, int):
            fobj = os.fspath(fobj)
            # There is a descriptor only because of us.
            self.closefd = True
        self._fobj = fobj
        self.encoding = encoding
        self.errors = errors
        self.newline = newline
        self.atomic_write = atomic_write
        self._opened = self._opened_raw = None
        self._check_types(mode)
        self._read_mode(mode)
        self._check_text_arguments()

    def _check_types(self, mode):
        for name, value, kinds in (
            ("mode", mode, str),
            ("buffering", self.buffering, int),
            ("encoding", self.encoding, (str, type(None))),
            ("errors", self.errors, (str, type(None))),
        ):
            if not isinstance(value, kinds):
                raise TypeError(f"invalid {name}: {value!r}")

    def _read_mode(self, mode):
        letters = set(mode)
        if not letters <= set("axrwb+tU") or len(letters) < len(mode):
            raise ValueError(f"invalid mode: {mode!r}")
        self.universal = "U" in letters
        if self.universal:
            if letters & set("xwa+"):
                raise ValueError("mode U cannot be combined with 'x', 'w', 'a', or '+'")
            letters.add("r")
        self.text = "t" in letters
        self.binary = "b" in letters
        if self.text and self.binary:
            raise ValueError("can't have text and binary mode at once")
        kinds = len(letters & set("xrwa"))
        if kinds > 1:
            raise ValueError("can't have read/write/append mode at once")
        if not kinds:
            raise ValueError("must have exactly one of create/read/write/append mode")
        self.creating = "x" in letters
        self.reading = "r" in letters
        self.writing = "w" in letters
        self.appending = "a" in letters
        self.updating = "+" in letters
        self.can_read = self.reading or self.updating
        self.can_write = self.updating or not self.reading
        self.fileio_mode = "".join(letter for letter in "xrwa+" if letter in letters)
        self.mode = self.fileio_mode + "".join(letter for letter in "tb" if letter in letters)
        self.native = not (self.text or self.binary or self.encoding or self.errors)

    def _check_text_arguments(self):
        if not self.binary:
            return
        for name in ("an encoding", "an errors", "a newline"):
            if getattr(self, name.split()[1]) is not None:
                raise ValueError(f"binary mode doesn't take {name} argument")
        if self.buffering == 1:
            warnings.warn(
                "line buffering (buffering=1) isn't supported in binary mode, "
                "the default buffer size will be used",
                RuntimeWarning,
                stacklevel=4,
            )

    def is_fd(self):
        """Whether it is given by its descriptor."""
        return isinstance(self._fobj, int)

    def opened_raw(self):
        """The file without buffers; the same each time."""
        if self._opened_raw is None:
            self._opened_raw = self._do_open_raw()
        return self._opened_raw

    def opened(self):
        """The file with the buffers that it is to have; the same each time."""
        if self._opened is None:
            raw = self.opened_raw()
            try:
                self._opened = self._wrapped(raw)
            except BaseException:
                raw.close()
                raise
        return self._opened

    def _do_open_raw(self):
        if hasattr(self._fobj, "fileno"):
            return self._fobj
        return FileIO(self._fobj, self.fileio_mode, self.closefd)

    def _raw_object_is_new(self, raw):
        return raw is not self._fobj

    @staticmethod
    def is_buffered(stream):
        """Whether a stream has a buffer."""
        if isinstance(stream, (io.BufferedIOBase, io.TextIOBase)):
            return True
        return getattr(stream, "buffer", None) is not None

    @classmethod
    def buffer_size_for_stream(cls, stream):
        """How large a buffer is best for a stream."""
        try:
            best = os.fstat(stream.fileno()).st_blksize
        except (OSError, AttributeError):
            best = 0
        return best if best > 1 else cls.default_buffer_size

    def _wrapped(self, raw):
        is_text = isinstance(raw, io.TextIOBase)
        if self.binary and is_text:
            raise ValueError("Unable to perform binary IO on top of text IO stream")
        size = self.buffering
        by_line = size == 1 or (size < 0 and raw.isatty())
        if by_line or size < 0:
            size = self.buffer_size_for_stream(raw)
        stream = raw
        if size != 0 and not self.is_buffered(raw):
            stream = self._buffered(raw, size)
        if not self.binary and not is_text:
            stream = io.TextIOWrapper(stream, self.encoding, self.errors, self.newline, by_line)
        if stream is raw and not self._raw_object_is_new(raw):
            return stream
        with contextlib.suppress(AttributeError, TypeError):  # some have a mode of their own
            stream.mode = self.mode
        if self.atomic_write and not self.is_buffered(stream):
            self._make_atomic_write(stream, raw)
        return stream

    def _buffered(self, raw, size):
        if self.updating:
            kind = io.BufferedRandom
        elif self.reading:
            kind = io.BufferedReader
        else:
            kind = io.BufferedWriter
        try:
            return kind(raw, size)
        except AttributeError:
            return raw  # an object with too few methods for that

    def _make_atomic_write(self, stream, raw):
        if isinstance(stream, WriteIsWriteallMixin):
            return
        if stream.__class__ is not FileIO:
            raise NotImplementedError(f"{stream!r} cannot be made to write all that it is given")
        stream.__class__ = WriteallFileIO


def _either(name, value, old_name, old_value, default):
    if value is not None and old_value is not None:
        raise TypeError(f"give {name} or {old_name}, not both: {value!r}, {old_value!r}")
    if value is None:
        value = old_value
    return default if value is None else value
