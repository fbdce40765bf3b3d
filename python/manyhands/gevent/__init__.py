"""`gevent` on the engine: greenlets, and everything that makes waiting in one let the others run.

`from manyhands import gevent` is what `import gevent` is; `manyhands run` gives programs this one
for that.
"""

from manyhands.gevent import signal as _signal_module  # noqa: F401
from manyhands.gevent._config import config
from manyhands.gevent._hub_local import get_hub
from manyhands.gevent._hub_primitives import iwait_on_objects as iwait, wait_on_objects as wait
from manyhands.gevent.greenlet import Greenlet, joinall, killall
from manyhands.gevent.hub import (
    GreenletExit,
    getcurrent,
    idle,
    kill,
    reinit,
    signal as signal_handler,
    sleep,
    spawn_raw,
)
from manyhands.gevent.timeout import Timeout, with_timeout

__all__ = [
    "Greenlet",
    "GreenletExit",
    "Timeout",
    "config",
    "fork",
    "get_hub",
    "getcurrent",
    "getswitchinterval",
    "idle",
    "iwait",
    "joinall",
    "kill",
    "killall",
    "reinit",
    "setswitchinterval",
    "signal_handler",
    "sleep",
    "spawn",
    "spawn_later",
    "spawn_raw",
    "wait",
    "with_timeout",
]

from sys import getswitchinterval, setswitchinterval

#: The version of gevent whose interface this is.
__version__ = "26.9.0"
version_info = (26, 9, 0)

spawn = Greenlet.spawn
spawn_later = Greenlet.spawn_later

from manyhands.gevent.os import fork  # noqa: E402  (needs what is above)
