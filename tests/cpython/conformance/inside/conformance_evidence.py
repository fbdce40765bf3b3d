"""What the tests really used: the guard's eyes, in the worker.

To be imported before any replacement is, so that it knows the originals as they were.
"""

import sys
from operator import attrgetter
from types import FunctionType, ModuleType

import conformance_redirect as redirect

#: What a replacement has to have made itself: neither the original's nor inherited from it.
_TO_BE_OWN = {
    "queue": ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    "threading": (
        "Lock",
        "RLock",
        "Condition",
        "Semaphore",
        "BoundedSemaphore",
        "Event",
        "Barrier",
    ),
    "multiprocessing.queues": ("Queue", "JoinableQueue", "SimpleQueue"),
    "multiprocessing.synchronize": (
        "Lock",
        "RLock",
        "Condition",
        "Semaphore",
        "BoundedSemaphore",
        "Event",
        "Barrier",
    ),
}

#: The same of functions, and of methods of classes that inherit from the original's.
_FUNCTIONS_TO_BE_OWN = {
    "multiprocessing.connection": ("Connection.recv", "Connection.send", "Pipe", "wait"),
    "multiprocessing.popen_fork": ("Popen._launch",),
    "multiprocessing.popen_forkserver": ("Popen._launch",),
    "multiprocessing.popen_spawn_posix": ("Popen._launch",),
}


def _type_made_by(factory):
    return factory if isinstance(factory, type) else type(factory())


def _moved():
    return [(source, target) for source, target in redirect.MAPPING.items() if source != target]


def _originals(table):
    return {
        (source, name): attrgetter(name)(redirect.original_module(source))
        for source, names in table.items()
        if redirect.replacement_name(source) not in (None, source)
        for name in names
    }


_original_types = {key: _type_made_by(made) for key, made in _originals(_TO_BE_OWN).items()}
_original_functions = _originals(_FUNCTIONS_TO_BE_OWN)


def _borrowed():
    """Names under which the replacement passes off what is the original's."""
    found = []
    for (source, name), original in _original_types.items():
        target = redirect.replacement_name(source)
        offered = getattr(sys.modules.get(target), name, None)
        if offered is not None and issubclass(_type_made_by(offered), original):
            found.append(f"{target}.{name} is the original's {source}.{name}")
    for (source, name), original in _original_functions.items():
        target = redirect.replacement_name(source)
        if target in sys.modules and attrgetter(name)(sys.modules[target]) is original:
            found.append(f"{target}.{name} is the original's {source}.{name}")
    return found


def _exported(value):
    """Whether any replacement offers that class or function as its own."""
    packages = tuple(target + "." for _, target in _moved())
    return any(
        value is candidate
        for name, module in list(sys.modules.items())
        if (name + ".").startswith(packages)
        for candidate in list(vars(module).values())
    )


def _leaks():
    """Originals that test modules hold in spite of all."""
    found = []
    for name, module in list(sys.modules.items()):
        if not name.startswith("test.") or not isinstance(module, ModuleType):
            continue
        if not redirect.is_test_code(vars(module)):
            continue
        for variable, value in list(vars(module).items()):
            if isinstance(value, ModuleType):
                origin = getattr(getattr(value, "__spec__", None), "name", None)
            elif isinstance(value, (type, FunctionType)):
                origin = value.__module__
            else:
                continue
            target = redirect.replacement_name(origin) if isinstance(origin, str) else None
            if target in (None, origin) or value is sys.modules.get(target):
                continue
            if isinstance(value, ModuleType) or not _exported(value):
                found.append(f"{name}.{variable} is of the original {origin}")
    return found


def gather():
    """What was redirected so far, and what speaks against it."""
    imports = {}
    for importer, name, target in redirect.REDIRECTS:
        imports.setdefault(importer, {})[name] = target
    return {"imports": imports, "objections": sorted(_borrowed() + _leaks())}
