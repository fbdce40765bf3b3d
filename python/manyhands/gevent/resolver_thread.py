"""The old name of `gevent.resolver.thread`."""

import warnings

from manyhands.gevent.resolver.thread import Resolver

__all__ = ["Resolver"]

warnings.warn(
    "gevent.resolver_thread is deprecated: use gevent.resolver.thread instead.",
    DeprecationWarning,
    stacklevel=2,
)
