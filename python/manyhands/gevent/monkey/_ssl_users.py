"""Finds who has taken classes of `ssl` before it was patched."""

import gc

_OURS = ("ssl", "gevent", "manyhands")


def users_warning(context_class):
    """What to tell about modules and subclasses that have the class; None if there are none."""
    modules, subclasses = set(), set()
    for holder in gc.get_referrers(context_class):
        if isinstance(holder, dict) and "__name__" in holder:
            if holder["__name__"].partition(".")[0] not in _OURS and any(
                value is context_class for value in list(holder.values())
            ):
                modules.add((holder["__name__"], holder.get("__file__", "<unknown>")))
        elif (
            isinstance(holder, type)
            and context_class in holder.__bases__
            and "gevent." not in holder.__module__
        ):
            subclasses.add(holder)
    if not modules and not subclasses:
        return None
    told = ""
    if modules:
        names = [f"{name} ({file})" for name, file in sorted(modules)]
        told += f"Modules that had direct imports (NOT patched): {names}. "
    if subclasses:
        told += f"Subclasses (NOT patched): {sorted(map(str, subclasses))}. "
    return (
        "Monkey-patching ssl after ssl has already been imported may lead to errors or silently "
        f"to incorrect behaviour. Please monkey-patch earlier. {told}"
    )
