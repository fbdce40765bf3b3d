"""Files of sockets, and the sending of files."""

import io
import socket as __socket__


class _Files:
    """What sockets have for files."""

    __slots__ = ()

    def makefile(self, mode="r", buffering=None, *, encoding=None, errors=None, newline=None):
        """A file that reads from it or writes to it, or both; as open() makes them."""
        if not set(mode) <= {"r", "w", "b"}:
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        writing = "w" in mode
        reading = "r" in mode or not writing
        binary = "b" in mode
        raw = __socket__.SocketIO(self, "r" * reading + "w" * writing)
        self._io_refs += 1
        if buffering == 0:
            if not binary:
                raise ValueError("unbuffered streams must be binary")
            return raw
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if reading and writing:
            buffered = io.BufferedRWPair(raw, raw, buffering)
        else:
            buffered = (io.BufferedReader if reading else io.BufferedWriter)(raw, buffering)
        if binary:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode
        return text

    def _sendfile_use_sendfile(self, file, offset=0, count=None):
        # os.sendfile() would wait for the disk, and everybody with it.
        raise __socket__._GiveupOnSendfile()

    def _sendfile_use_send(self, file, offset=0, count=None):
        self._check_sendfile_params(file, offset, count)
        if self.gettimeout() == 0:
            raise ValueError("non-blocking sockets are not supported")
        if offset:
            file.seek(offset)
        sent = 0
        try:
            while count is None or sent < count:
                size = 8192 if count is None else min(8192, count - sent)
                block = file.read(size)
                if not block:
                    break
                left = memoryview(block)
                while left:
                    some = self.send(left)
                    sent += some
                    left = left[some:]
            return sent
        finally:
            if sent and hasattr(file, "seek"):
                file.seek(offset + sent)

    def _check_sendfile_params(self, file, offset, count):
        if "b" not in getattr(file, "mode", "b"):
            raise ValueError("file should be opened in binary mode")
        if not self.type & __socket__.SOCK_STREAM:
            raise ValueError("only SOCK_STREAM type sockets are supported")
        if count is None:
            return
        message = f"count must be a positive integer (got {count!r})"
        if not isinstance(count, int):
            raise TypeError(message)
        if count <= 0:
            raise ValueError(message)

    def sendfile(self, file, offset=0, count=None):
        """Send a file's content from an offset on, at most so many bytes; how many that were."""
        return self._sendfile_use_send(file, offset, count)
