"""What is told to subscribers: that the hub is blocked, memory grows, modules are patched.

Append a callable to `subscribers`: it is called with each event. It is the list of the package
zope.event if that can be imported.
"""

from importlib import metadata

from manyhands.gevent._interfaces import Attribute, Interface, implementer

try:
    from zope.event import notify, subscribers
except ImportError:
    #: Who is called with each event, in this order; what one of them raises, the others do not see.
    subscribers = []

    def notify(event):
        """Call all subscribers with an event."""
        for subscriber in subscribers:
            subscriber(event)


__all__ = [
    "DoNotPatch",
    "EventLoopBlocked",
    "GeventDidPatchAllEvent",
    "GeventDidPatchBuiltinModulesEvent",
    "GeventDidPatchModuleEvent",
    "GeventPatchEvent",
    "GeventWillPatchAllEvent",
    "GeventWillPatchEvent",
    "GeventWillPatchModuleEvent",
    "IEventLoopBlocked",
    "IGeventDidPatchAllEvent",
    "IGeventDidPatchBuiltinModulesEvent",
    "IGeventDidPatchEvent",
    "IGeventDidPatchModuleEvent",
    "IGeventPatchEvent",
    "IGeventWillPatchAllEvent",
    "IGeventWillPatchEvent",
    "IGeventWillPatchModuleEvent",
    "IMemoryUsageThresholdExceeded",
    "IMemoryUsageUnderThreshold",
    "IPeriodicMonitorThread",
    "IPeriodicMonitorThreadStartedEvent",
    "MemoryUsageThresholdExceeded",
    "MemoryUsageUnderThreshold",
    "PeriodicMonitorThreadStartedEvent",
    "subscribers",
]


def notify_and_call_entry_points(event):
    """Call all subscribers, and what installed packages declare for this kind of event."""
    notify(event)
    for entry_point in metadata.entry_points(group=event.ENTRY_POINT_NAME):
        entry_point.load()(event)


class IPeriodicMonitorThread(Interface):
    """The thread that watches a hub."""

    def add_monitoring_function(function, period):
        """Call `function(hub)` in that thread about every `period` seconds; None: not any more."""


class IPeriodicMonitorThreadStartedEvent(Interface):
    """A thread has begun to watch a hub; more to watch can be added to it now."""

    monitor = Attribute("The IPeriodicMonitorThread.")


@implementer(IPeriodicMonitorThreadStartedEvent)
class PeriodicMonitorThreadStartedEvent:
    """A thread has begun to watch a hub."""

    ENTRY_POINT_NAME = "gevent.plugins.hub.periodic_monitor_thread_started"

    def __init__(self, monitor):
        self.monitor = monitor


class IEventLoopBlocked(Interface):
    """A greenlet has held the hub for too long; told in the thread that watches."""

    greenlet = Attribute("The greenlet that holds the hub.")
    blocking_time = Attribute("For how many seconds at least.")
    info = Attribute("Lines of text about it; a list that may be changed.")
    hub = Attribute("The hub, or None.")


@implementer(IEventLoopBlocked)
class EventLoopBlocked:
    """A greenlet has held the hub for too long."""

    def __init__(self, greenlet, blocking_time, info, *, hub=None):
        self.greenlet = greenlet
        self.blocking_time = blocking_time
        self.info = info
        self.hub = hub


class IMemoryUsageThresholdExceeded(Interface):
    """The process has more memory than it should, and more than when that was told last."""

    mem_usage = Attribute("How much it has, in bytes.")
    max_allowed = Attribute("How much it should have, in bytes.")
    memory_info = Attribute("All that psutil says.")


class IMemoryUsageUnderThreshold(Interface):
    """The process has no more memory than it should, after it had."""

    mem_usage = Attribute("How much it has, in bytes.")
    max_allowed = Attribute("How much it should have, in bytes.")
    max_memory_usage = Attribute("How much it had, in bytes.")
    memory_info = Attribute("All that psutil says.")


class _MemoryUsage:
    def __init__(self, mem_usage, max_allowed, memory_info):
        self.mem_usage = mem_usage
        self.max_allowed = max_allowed
        self.memory_info = memory_info

    def __repr__(self):
        return (
            f"<{type(self).__name__} used={self.mem_usage} max={self.max_allowed}"
            f" details={self.memory_info!r}>"
        )


@implementer(IMemoryUsageThresholdExceeded)
class MemoryUsageThresholdExceeded(_MemoryUsage):
    """The process has more memory than it should."""


@implementer(IMemoryUsageUnderThreshold)
class MemoryUsageUnderThreshold(_MemoryUsage):
    """The process has no more memory than it should, after it had."""

    def __init__(self, mem_usage, max_allowed, memory_info, max_usage):
        super().__init__(mem_usage, max_allowed, memory_info)
        self.max_memory_usage = max_usage


class DoNotPatch(BaseException):
    """To be raised by a subscriber that is told of a patch to come: it does not come then."""


class IGeventPatchEvent(Interface):
    """Something is patched."""

    source = Attribute("What the new things are taken from.")
    target = Attribute("What is patched.")


@implementer(IGeventPatchEvent)
class GeventPatchEvent:
    """Something is patched."""

    def __init__(self, source, target):
        self.source = source
        self.target = target

    def __repr__(self):
        return (
            f"<{type(self).__name__} source={self.source!r} target={self.target!r} at {id(self):x}>"
        )


class IGeventWillPatchEvent(IGeventPatchEvent):
    """Something is about to be patched, unless a subscriber raises `DoNotPatch`."""


@implementer(IGeventWillPatchEvent)
class GeventWillPatchEvent(GeventPatchEvent):
    """Something is about to be patched."""


class IGeventDidPatchEvent(IGeventPatchEvent):
    """Something has been patched."""


@implementer(IGeventDidPatchEvent)
class GeventDidPatchEvent(GeventPatchEvent):
    """Something has been patched."""


class IGeventWillPatchModuleEvent(IGeventWillPatchEvent):
    """A module is about to be patched; `source` and `target` are modules."""

    module_name = Attribute("The name of the module.")
    target_item_names = Attribute("What in it is to be patched; a list that may be changed.")


@implementer(IGeventWillPatchModuleEvent)
class GeventWillPatchModuleEvent(GeventWillPatchEvent):
    """A module is about to be patched."""

    ENTRY_POINT_NAME = "gevent.plugins.monkey.will_patch_module"

    def __init__(self, module_name, source, target, items):
        super().__init__(source, target)
        self.module_name = module_name
        self.target_item_names = items


class IGeventDidPatchModuleEvent(IGeventDidPatchEvent):
    """A module has been patched; `source` and `target` are modules."""

    module_name = Attribute("The name of the module.")


@implementer(IGeventDidPatchModuleEvent)
class GeventDidPatchModuleEvent(GeventDidPatchEvent):
    """A module has been patched."""

    ENTRY_POINT_NAME = "gevent.plugins.monkey.did_patch_module"

    def __init__(self, module_name, source, target):
        super().__init__(source, target)
        self.module_name = module_name


class IGeventWillPatchAllEvent(IGeventWillPatchEvent):
    """`patch_all` begins; it does nothing if a subscriber raises `DoNotPatch`."""

    patch_all_arguments = Attribute("A copy of the arguments of patch_all.")
    patch_all_kwargs = Attribute("A copy of those that it does not know.")

    def will_patch_module(module_name):
        """Whether a module is to be patched."""


class _PatchAll:
    def __init__(self, patch_all_arguments, patch_all_kwargs):
        super().__init__(None, None)
        self._arguments = patch_all_arguments
        self._unknown = patch_all_kwargs

    @property
    def patch_all_arguments(self):
        """A copy of the arguments of `patch_all`."""
        return dict(self._arguments)

    @property
    def patch_all_kwargs(self):
        """A copy of those that it does not know."""
        return dict(self._unknown)

    def __repr__(self):
        return f"<{type(self).__name__} {self._arguments!r} at {id(self):x}>"


@implementer(IGeventWillPatchAllEvent)
class GeventWillPatchAllEvent(_PatchAll, GeventWillPatchEvent):
    """`patch_all` begins."""

    ENTRY_POINT_NAME = "gevent.plugins.monkey.will_patch_all"

    def will_patch_module(self, module_name):
        """Whether a module is to be patched; None if `patch_all` does not know it."""
        return self._arguments.get(module_name)


class IGeventDidPatchBuiltinModulesEvent(IGeventDidPatchEvent):
    """The standard library is patched: the time to patch other packages."""

    patch_all_arguments = Attribute("A copy of the arguments of patch_all.")
    patch_all_kwargs = Attribute("A copy of those that it does not know.")


@implementer(IGeventDidPatchBuiltinModulesEvent)
class GeventDidPatchBuiltinModulesEvent(_PatchAll, GeventDidPatchEvent):
    """The standard library is patched."""

    ENTRY_POINT_NAME = "gevent.plugins.monkey.did_patch_builtins"


class IGeventDidPatchAllEvent(IGeventDidPatchEvent):
    """All is patched, other packages too."""


@implementer(IGeventDidPatchAllEvent)
class GeventDidPatchAllEvent(_PatchAll, GeventDidPatchEvent):
    """All is patched, other packages too."""

    ENTRY_POINT_NAME = "gevent.plugins.monkey.did_patch_all"
