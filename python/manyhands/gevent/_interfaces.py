"""What loops, watchers and callbacks have; plain classes if there is no zope.interface."""

try:
    from zope.interface import Attribute, Interface, classImplements, implementer
except ImportError:

    class Interface:
        """A class that only describes."""

    class Attribute:
        """An attribute that an interface describes."""

        def __init__(self, description=""):
            self.__doc__ = description

    def implementer(*interfaces):
        """A decorator that says which interfaces a class has: nobody can ask."""
        return lambda cls: cls

    def classImplements(cls, *interfaces):
        """Nothing, as above."""


__all__ = ["ICallback", "ILoop", "IWatcher"]

# Methods of an interface are written without `self`.


class ILoop(Interface):
    """What calls callbacks, in one thread, when what they wait for is there."""

    default = Attribute("Whether it is the loop of the main thread.")
    approx_timer_resolution = Attribute("How finely timers can be told apart, in seconds.")

    def run(nowait=False, once=False):
        """Call callbacks until none can come any more; or one round; or without waiting."""

    def now():
        """The time that timers count from, in seconds."""

    def update_now():
        """Bring `now()` up to date."""

    def destroy():
        """Give back what the loop has of the system."""

    def io(fd, events, ref=True, priority=None):
        """A watcher of a descriptor: events 1 to read, 2 to write, 3 both."""

    def closing_fd(fd):
        """To be called before a descriptor is closed."""

    def timer(after, repeat=0.0, ref=True, priority=None):
        """A watcher that is called after some seconds, and then every `repeat` seconds."""

    def signal(signum, ref=True, priority=None):
        """A watcher of a signal."""

    def idle(ref=True, priority=None):
        """A watcher that is called when there is nothing else to do."""

    def prepare(ref=True, priority=None):
        """A watcher that is called before the loop waits."""

    def check(ref=True, priority=None):
        """A watcher that is called after the loop has waited."""

    def fork(ref=True, priority=None):
        """A watcher that is called in a child after a fork."""

    def async_(ref=True, priority=None):
        """A watcher that other threads can have called."""

    def child(pid, trace=0, ref=True):
        """A watcher of the end of a child process."""

    def stat(path, interval=0.0, ref=True, priority=None):
        """A watcher of a file's attributes."""

    def run_callback(func, *args):
        """Call `func` soon; returns an `ICallback`."""

    def run_callback_threadsafe(func, *args):
        """As `run_callback`, from another thread."""


class IWatcher(Interface):
    """Calls back when something has happened."""

    def start(callback, *args, **kwargs):
        """From now on, call `callback(*args)` each time."""

    def stop():
        """Do not call any more."""

    def close():
        """Stop, for ever: give back what it has of the system."""


class ICallback(Interface):
    """A function that is to be called soon."""

    pending = Attribute("Whether it is still to be called.")

    def stop():
        """Do not call it, if that has not happened yet."""

    def close():
        """The same as `stop`."""
