"""The native half of this package, made when it is imported."""

from types import ModuleType

from manyhands import _native

#: What is not for programs is used as `native.name`.
native = ModuleType("manyhands._native.green")

try:
    _native._register_green(native)
except ImportError as error:
    raise ImportError(
        "manyhands.gevent needs the package greenlet, 3.5 or newer: pip install 'greenlet>=3.5'"
    ) from error

Callback = native.callback
Gather = native.Gather
Loop = native.Loop
RawGreenlet = native.RawGreenlet
RawTimeout = native.RawTimeout
SocketBase = native.SocketBase
count_waits = native.count_waits
primitives = native.green_primitives
get_hub_if_exists = native.get_hub_if_exists
set_hub = native.set_hub
sleep = native.sleep
thread_ends = native.thread_ends
