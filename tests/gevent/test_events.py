"""Events are told without the packages of Zope too."""

import subprocess
import sys

import pytest

pytest.importorskip("greenlet")

WITHOUT_ZOPE = """
import sys
sys.modules["zope"] = sys.modules["zope.event"] = sys.modules["zope.interface"] = None
from manyhands.gevent import _interfaces, events, get_hub
told = []
events.subscribers.append(told.append)
event = events.EventLoopBlocked(None, 0.1, [], hub=get_hub())
events.notify(event)
assert told == [event]
def refuse(event):
    raise events.DoNotPatch
events.subscribers.insert(0, refuse)
try:
    events.notify_and_call_entry_points(events.GeventWillPatchAllEvent({"os": True}, {}))
except events.DoNotPatch:
    print("refused", told == [event])
assert isinstance(_interfaces.ILoop, type)
"""


def test_without_zope():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ZOPE], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "refused True\n", done.stderr
