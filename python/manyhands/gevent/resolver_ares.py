"""The old name of `gevent.resolver.ares`, which is not offered."""

from manyhands.gevent.resolver import ares  # noqa: F401  (says what to do)
