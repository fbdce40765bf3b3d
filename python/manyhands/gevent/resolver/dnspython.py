"""Not offered: a resolver by dnspython."""

raise ImportError(
    "manyhands.gevent has no resolver by dnspython: "
    "use GEVENT_RESOLVER=thread, which is the default, or 'block'"
)
