"""The module `time`, with a `sleep` that lets other greenlets go on."""

import time as __time__

from manyhands.gevent._util import copy_globals
from manyhands.gevent.hub import sleep as sleep

__implements__ = ["sleep"]
__all__ = __implements__
__imports__ = copy_globals(__time__, globals(), names_to_ignore=__implements__)
