"""A SimpleQueue over a pipe, for who uses the two ends of that pipe himself.

The standard library's pools of processes do: they hand items on from pipe to pipe, and wait for
several at once. Ours has no pipe. This goes when the pools are ours.
"""

from manyhands._stdlib import original


class SimpleQueue(original("multiprocessing.queues").SimpleQueue):
    """The standard library's, by a name under which a child finds it whoever is on the engine."""
