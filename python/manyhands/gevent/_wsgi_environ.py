"""The dicts that applications get, and what servers write their logs to."""

__all__ = ["Environ", "LoggingLogAdapter", "SecureEnviron", "WSGISecureEnviron"]


class Environ(dict):
    """A dict of which copies are of the same class, but pickles are plain ones."""

    __slots__ = ()

    def copy(self):
        return self.__class__(self)

    def __reduce_ex__(self, protocol):
        return (dict, (), None, None, iter(self.items()))


class SecureEnviron(Environ):
    """One that does not show what is in it, as that may be secret: only how much, or the values of
    `whitelist_keys`. Unless `secure_repr` is false. Classes have defaults for both."""

    default_secure_repr = True
    default_whitelist_keys = ()
    #: Whether the other keys are shown, with their values masked.
    default_print_masked_keys = True

    __slots__ = ("print_masked_keys", "secure_repr", "whitelist_keys")

    def __getattr__(self, name):
        if name in SecureEnviron.__slots__:
            return getattr(type(self), f"default_{name}")
        raise AttributeError(name)

    def __repr__(self):
        if not self.secure_repr:
            return Environ.__repr__(self)
        keys = self.whitelist_keys
        if not keys:
            name = type(self).__name__
            return f"<pywsgi.{name} dict (keys: {len(self)}) at {id(self)}>"
        shows_all = self.print_masked_keys
        return repr(
            {
                key: value if key in keys else "<MASKED>"
                for key, value in self.items()
                if shows_all or key in keys
            }
        )

    __str__ = __repr__


class WSGISecureEnviron(SecureEnviron):
    """The dict of a request: of it who asks for what is shown."""

    default_whitelist_keys = (
        "REMOTE_ADDR",
        "REMOTE_PORT",
        "HTTP_HOST",
        "REQUEST_METHOD",
        "HTTP_USER_AGENT",
        "PATH_INFO",
    )
    default_print_masked_keys = False

    __slots__ = ()


class _NoopLog:
    """Takes what nobody wants."""

    def write(self, *args, **kwargs):
        return

    def flush(self):
        pass

    def writelines(self, *args, **kwargs):
        pass


class LoggingLogAdapter:
    """Makes a logger something to write to. Other attributes are the logger's."""

    __slots__ = ("__dict__", "_level", "_logger")

    def __init__(self, logger, level=20):
        object.__setattr__(self, "_logger", logger)
        object.__setattr__(self, "_level", level)

    def write(self, msg):
        self._logger.log(self._level, msg.rstrip("\n"))

    def flush(self):
        """Nothing: handlers of logging do that."""

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._logger, name)

    def __setattr__(self, name, value):
        if name in LoggingLogAdapter.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self._logger, name, value)

    def __delattr__(self, name):
        delattr(self._logger, name)


def make_log(log, level):
    """Something to write to: the log itself if it is that, an adapter of a logger, or nothing."""
    if log is None:
        return _NoopLog()
    if hasattr(log, "write") and hasattr(log, "writelines"):
        return log
    return LoggingLogAdapter(log, level)
