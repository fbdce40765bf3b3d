"""Not offered: a resolver by c-ares."""

raise ImportError(
    "manyhands.gevent has no resolver by c-ares: "
    "use GEVENT_RESOLVER=thread, which is the default, or 'block'"
)
