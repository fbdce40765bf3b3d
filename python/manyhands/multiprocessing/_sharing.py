"""How what lies in the arena is handed to a child: as the arena's number and a place in it.

Children that we start have joined the arena before anything is unpickled. A child that is started
by the standard library's own means gets the arena's descriptor along with the first object.
"""

import os

from manyhands import _native
from manyhands._stdlib import original

_native = _native.multiprocessing
_context = original("multiprocessing.context")
_reduction = original("multiprocessing.reduction")


def state(shared, reference):
    """What to pickle of an object of ours with that reference; RuntimeError if not to a child."""
    _context.assert_spawning(shared)
    popen = _context.get_spawning_popen()
    if getattr(popen, "carries_arena", False):
        return (*reference, None)
    passed = getattr(popen, "_passed_arena", None)
    if passed is None:
        ticket = _native.reserve_child()
        passed = popen._passed_arena = _reduction.DupFd(ticket.fileno()), ticket.number, ticket
    return (*reference, passed[:2])


def reference(state):
    """The reference that was pickled, in the child; joins the arena if that was not done before."""
    arena, block, passed = state
    if passed is not None and _native.arena_number() != arena:
        descriptor, ticket = passed
        descriptor = descriptor.detach()
        try:
            _native.join_arena(descriptor, ticket)
        finally:
            os.close(descriptor)
    return arena, block
