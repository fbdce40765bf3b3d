"""``python -m gevent.monkey program.py``: patch, then run a program that knows nothing of it."""

import sys

#: What can be chosen: the arguments of patch_all that stand for a module.
_MODULES = (
    "socket",
    "dns",
    "time",
    "select",
    "thread",
    "os",
    "ssl",
    "subprocess",
    "sys",
    "builtins",
    "signal",
    "queue",
    "contextvars",
)
_OTHERS = ("aggressive", "Event")

USAGE = f"""\
usage: python -m gevent.monkey [OPTIONS] [--module] (SCRIPT | MODULE) [ARGUMENTS]

Make the standard library cooperative, then run a script, or with --module a module, as python
would.

options:
  --NAME      patch only this, and what else is named
  --no-NAME   patch all but this
  --verbose   tell what is done
  --module    what follows is the name of a module

NAME is one of {", ".join(_MODULES)}.\
"""


def main():
    """Run the program that `sys.argv` names, patched."""
    arguments = sys.argv[1:]
    choice, verbose, as_module = {}, False, False
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)[2:]
        if option == "":
            break
        if option == "verbose":
            verbose = True
        elif option == "module":
            as_module = True
        elif not _choose(option, choice):
            sys.exit(f"{USAGE}\n\nCannot patch {option!r}")
    if verbose:
        told = ", ".join(f"{name}={value}" for name, value in choice.items())
        print(f"gevent.monkey.patch_all({told})")
        print(f"sys.version={sys.version}")
        print(f"sys.path={sys.path}")
        print(f"sys.modules={sorted(sys.modules)}")
    if not arguments:
        print(USAGE)
        return None
    sys.argv[:] = arguments
    from manyhands.gevent.monkey import patch_all

    patch_all(**choice)
    import runpy

    start = runpy.run_module if as_module else runpy.run_path
    return start(arguments[0], run_name="__main__")


def _choose(option, choice):
    if option in _MODULES or option in _OTHERS:
        choice[option] = True
        if option in _MODULES:
            for module in _MODULES:
                choice.setdefault(module, False)
        return True
    if option.startswith("no-") and option[3:] in _MODULES + _OTHERS:
        choice[option[3:]] = False
        return True
    return False


main.__doc__ = USAGE
