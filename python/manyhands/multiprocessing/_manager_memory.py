"""The manager whose server looks after segments of shared memory."""

import os

from manyhands._stdlib import original
from manyhands.multiprocessing import shared_memory
from manyhands.multiprocessing.managers import BaseManager, Server, util

_stdlib = original("multiprocessing.managers")


class _SharedMemoryTracker(_stdlib._SharedMemoryTracker):
    """The segments that one server looks after."""

    def __init__(self, name, segment_names=()):
        super().__init__(name, list(segment_names))

    def destroy_segment(self, segment_name):
        """Unlink a segment, and forget it."""
        util.debug(f"Destroy segment {segment_name!r} in pid {os.getpid()}")
        self.segment_names.remove(segment_name)
        segment = shared_memory.SharedMemory(segment_name)
        segment.close()
        segment.unlink()


class SharedMemoryServer(Server, _stdlib.SharedMemoryServer):
    """A server that unlinks the segments that it was told of when it is shut down."""

    public = [*Server.public, "track_segment", "release_segment", "list_segments"]  # noqa: RUF012

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        address = self.address
        if isinstance(address, bytes):
            # An abstract one of Linux.
            address = os.fsdecode(address)
        self.shared_memory_context = _SharedMemoryTracker(f"shm_{address}_{os.getpid()}")
        util.debug(f"SharedMemoryServer started by pid {os.getpid()}")

    def create(self, c, typeid, /, *args, **kwargs):
        """Make an object; give it the tracker if that is what its proxies want."""
        if hasattr(self.registry[typeid][-1], "_shared_memory_proxy"):
            kwargs["shared_memory_context"] = self.shared_memory_context
        return super().create(c, typeid, *args, **kwargs)

    def shutdown(self, c):
        """Unlink all segments, and end."""
        self.shared_memory_context.unlink()
        return super().shutdown(c)

    def track_segment(self, c, segment_name):
        """Look after a segment from now on."""
        self.shared_memory_context.register_segment(segment_name)

    def release_segment(self, c, segment_name):
        """Unlink a segment, and forget it."""
        self.shared_memory_context.destroy_segment(segment_name)

    def list_segments(self, c):
        """Return the names of the segments that it looks after."""
        return self.shared_memory_context.segment_names


class SharedMemoryManager(BaseManager, _stdlib.SharedMemoryManager):
    """A manager that makes segments of shared memory, which are unlinked when it is shut down."""

    _Server = SharedMemoryServer
    _noun, _self_noun = "SharedMemoryServer", "SharedMemoryManager"

    def __init__(self, *args, **kwargs):
        # The server's process shall have the same one.
        original("multiprocessing.resource_tracker").ensure_running()
        BaseManager.__init__(self, *args, **kwargs)
        util.debug(f"{type(self).__name__} created by pid {os.getpid()}")

    def _track(self, made, segment):
        try:
            self._ask("track_segment", (segment.name,))
        except BaseException:
            segment.unlink()
            raise
        return made

    def SharedMemory(self, size):
        """Make a segment of so many bytes that the server looks after."""
        made = shared_memory.SharedMemory(None, create=True, size=size)
        return self._track(made, made)

    def ShareableList(self, sequence):
        """Make a list in a segment that the server looks after."""
        made = shared_memory.ShareableList(sequence)
        return self._track(made, made.shm)


for _class in (_SharedMemoryTracker, SharedMemoryServer, SharedMemoryManager):
    _class.__module__ = "manyhands.multiprocessing.managers"
