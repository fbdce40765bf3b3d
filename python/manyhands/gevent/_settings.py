"""The settings there are, one class each."""

from manyhands.gevent._setting import (
    BoolSettingMixin,
    ByteCountSettingMixin,
    FloatSettingMixin,
    ImportableSetting,
    IntSettingMixin,
    ResolverOption as AresSettingMixin,
    Setting,
    validate_anything,
    validate_bool,
)

_LOOP = "manyhands.gevent.core.loop"


class Resolver(ImportableSetting, Setting):
    desc = "Who looks up names of hosts: the class of `hub.resolver`."
    default = ("thread", "dnspython", "block")
    shortname_map = {  # noqa: RUF012
        "thread": "manyhands.gevent.resolver.thread.Resolver",
        "block": "manyhands.gevent.resolver.blocking.Resolver",
        "dnspython": "manyhands.gevent.resolver.dnspython.Resolver",
    }
    not_offered = dict.fromkeys(
        ("ares", "gevent.resolver.ares.Resolver"),
        "the resolver 'ares' (c-ares) is not offered here: set GEVENT_RESOLVER to 'thread',"
        " 'dnspython' or 'block'",
    )


class Threadpool(ImportableSetting, Setting):
    desc = "The class of `hub.threadpool`."
    default = "manyhands.gevent.threadpool.ThreadPool"


class ThreadpoolIdleTaskTimeout(FloatSettingMixin, Setting):
    name = "threadpool_idle_task_timeout"
    desc = "How long, in seconds, a thread of the hub's thread pool waits for work; -1: for ever."
    default = 5.0

    def validate(self, value):
        return None if value is not None and value < 0 else super().validate(value)


class Loop(ImportableSetting, Setting):
    desc = "The loop of a hub. There is one; the names of gevent's loops all mean it."
    default = ("manyhands",)
    shortname_map = dict.fromkeys(
        [
            "manyhands",
            "libev",
            "libev-cext",
            "libev-cffi",
            "libuv",
            "libuv-cffi",
            "gevent.libev.corecext.loop",
            "gevent.libev.corecffi.loop",
            "gevent.libuv.loop.loop",
        ],
        _LOOP,
    )


class FormatContext(ImportableSetting, Setting):
    name = "format_context"
    desc = "The function that writes an object for reports of errors."
    default = "pprint.saferepr"


class LibevBackend(Setting):
    name = "libev_backend"
    environment_key = "GEVENT_BACKEND"
    desc = "How the loop asks the system which descriptors are ready; there is one way per system."
    default = None
    validate = staticmethod(validate_anything)


class FileObject(ImportableSetting, Setting):
    environment_key = "GEVENT_FILE"
    desc = "The class that `gevent.fileobject.FileObject` is."
    default = ("posix", "thread")
    shortname_map = {  # noqa: RUF012
        "thread": "manyhands.gevent._fileobjectcommon.FileObjectThread",
        "posix": "manyhands.gevent._fileobjectposix.FileObjectPosix",
        "block": "manyhands.gevent._fileobjectcommon.FileObjectBlock",
    }


class WatchChildren(BoolSettingMixin, Setting):
    name = "disable_watch_children"
    environment_key = "GEVENT_NOWAITPID"
    desc = "Whether `gevent.os` leaves fork and waitpid as they are, and watches no children."
    default = False


class TraceMalloc(IntSettingMixin, Setting):
    name = "trace_malloc"
    environment_key = "PYTHONTRACEMALLOC"
    desc = "Whether Python keeps where memory was allocated; it sees to that itself."
    default = False


class TrackGreenletTree(BoolSettingMixin, Setting):
    name = "track_greenlet_tree"
    environment_key = "GEVENT_TRACK_GREENLET_TREE"
    desc = """\
    Whether greenlets know who spawned them, and where: `spawning_greenlet`, `spawning_stack`,
    `spawn_tree_locals`. Spawning is quicker without.
    """
    default = True


class CopyContext(BoolSettingMixin, Setting):
    name = "copy_context"
    desc = """\
    Whether greenlets, and threads once `threading` is patched, begin with a copy of the context
    variables (`contextvars`) of the greenlet that starts them, instead of none; see
    `Greenlet.copy_context`, by which a class or a greenlet says it for itself. Those of
    `spawn_raw()` never do.
    """
    default = False

    _tell = None

    def follow(self, tell):
        """Have `tell` called with what it is, now and whenever it is set."""
        self._tell = tell
        tell(self.get())

    def set(self, value):
        super().set(value)
        if self._tell is not None:
            self._tell(self.value)


class MonitorThread(BoolSettingMixin, Setting):
    name = "monitor_thread"
    environment_key = "GEVENT_MONITOR_THREAD_ENABLE"
    desc = """\
    Whether a thread watches each hub: whether somebody holds it for longer than
    `max_blocking_time`, and how much memory the process has.
    `hub.start_periodic_monitoring_thread()` starts it too.
    """
    default = False


class MaxBlockingTime(FloatSettingMixin, Setting):
    name = "max_blocking_time"
    desc = """\
    How long, in seconds, a greenlet may hold the hub before the thread of `monitor_thread`
    reports it.
    """
    default = 0.1


class BlockingReport(FloatSettingMixin, Setting):
    name = "blocking_report"
    desc = """\
    How long, in seconds, a call may hold the hub before it is reported, once, with its stack; `on`
    is 0.1, nothing or `off` reports none. Needs no `monitor_thread`, and no trace function. Looked
    at when a hub begins.
    """
    default = None

    def _convert(self, value):
        if isinstance(value, bool):
            return 0.1 if value else None
        try:
            return float(value) or None if value else None
        except ValueError:
            return 0.1 if validate_bool(value) else None


class PrintBlockingReports(BoolSettingMixin, Setting):
    name = "print_blocking_reports"
    environment_key = "GEVENT_MONITOR_PRINT_BLOCKING_REPORTS"
    desc = "Whether the thread of `monitor_thread` prints its reports; subscribers get them anyway."
    default = True


class MonitorMemoryPeriod(FloatSettingMixin, Setting):
    name = "memory_monitor_period"
    environment_key = "GEVENT_MONITOR_MEMORY_PERIOD"
    desc = "How often, in seconds, the thread of `monitor_thread` looks at the memory; 2 at least."
    default = 5


class MonitorMemoryMaxUsage(ByteCountSettingMixin, Setting):
    name = "max_memory_usage"
    environment_key = "GEVENT_MONITOR_MEMORY_MAX"
    desc = """\
    How much memory, in bytes, the process may have before subscribers are told; 512mb is
    understood.
    """
    default = None


class _AresSetting(AresSettingMixin):
    # There is no c-ares; they are read, so that programs that look at them run.
    document = False

    @property
    def kwarg_name(self):
        return self.name.removeprefix("ares_")


def _ares(name):
    key = "GEVENTARES_" + name.upper()
    body = {"name": "ares_" + name, "environment_key": key, "desc": "Has no effect."}
    return type(Setting)("Ares" + name.title(), (_AresSetting, Setting), body)


_ARES = [
    _ares(x) for x in ("flags", "timeout", "tries", "ndots", "udp_port", "tcp_port", "servers")
]


class ResolverNameservers(AresSettingMixin, Setting):
    name = "resolver_nameservers"
    desc = "Addresses of the servers that the resolver 'dnspython' asks, instead of the system's."
    default = None
    kwarg_name = "servers"
    _convert = Setting._convert


class ResolverTimeout(FloatSettingMixin, AresSettingMixin, Setting):
    name = "resolver_timeout"
    desc = "How long, in seconds, the resolver 'dnspython' may ask for a name."
    default = None
    kwarg_name = "timeout"
