"""Events and warnings of patching: gathered while modules change, told when they are whole."""

from functools import wraps

from manyhands.gevent.monkey._errors import MonkeyPatchWarning


def notify(event, warnings=None):
    """Tell subscribers and plugins; passes on DoNotPatch."""
    from manyhands.gevent.events import notify_and_call_entry_points

    event._warnings = warnings
    notify_and_call_entry_points(event)


def vetoable(function):
    """Makes a function that patches return False where a subscriber has forbidden it."""

    @wraps(function)
    def patch(*args, **kwargs):
        from manyhands.gevent.events import DoNotPatch

        try:
            return function(*args, **kwargs)
        except DoNotPatch:
            return False

    return patch


def queue_warning(message, warnings):
    """Warn after all is patched, or at once where this is the only function that was called."""
    if warnings is None:
        process_warnings([message], stacklevel=5)
    else:
        warnings.append(message)


def process_warnings(messages, stacklevel=3):
    """Give the warnings that were queued, in the name of who called the patching function."""
    import warnings

    for message in messages:
        warnings.warn(message, MonkeyPatchWarning, stacklevel=stacklevel)
