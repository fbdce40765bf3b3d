"""Not offered: c-ares."""

from manyhands.gevent.resolver import ares  # noqa: F401  (says what to do)
