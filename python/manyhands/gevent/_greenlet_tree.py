"""Greenlets, as a tree of who spawned whom."""

import pprint
import traceback

from greenlet import getcurrent


class GreenletTree:
    """A greenlet, and those that it spawned; or that a thread started, for its main greenlet."""

    # Where programs find it.
    __module__ = "manyhands.gevent.util"

    #: Whether it is that of the current thread.
    is_current_tree = False

    #: What `format` tells, if not said otherwise.
    DEFAULT_DETAILS = {  # noqa: RUF012
        "running_stacks": True,
        "running_stack_limit": None,
        "spawning_stacks": True,
        "locals": True,
    }

    def __init__(self, greenlet):
        self.greenlet = greenlet
        self.child_trees = []

    def __getattr__(self, name):
        if name == "greenlet":
            raise AttributeError(name)
        return getattr(self.greenlet, name)

    def add_child(self, tree):
        """Add the tree of a greenlet that this one spawned."""
        if tree is not self:
            self.child_trees.append(tree)

    @property
    def root(self):
        """Whether it is the main greenlet of a thread."""
        return self.greenlet.parent is None

    def __str__(self):
        return self.format(False)

    def format(self, details=True):
        """What `format_lines` returns, as one string."""
        return "\n".join(self.format_lines(details))

    def format_lines(self, details=True):
        """Lines that show the tree; `details`: True, False, or a dict as `DEFAULT_DETAILS`."""
        if isinstance(details, dict):
            details = {**self.DEFAULT_DETAILS, **details}
        elif details:
            details = self.DEFAULT_DETAILS
        return [text for _, text in self._render(details, 0)]

    def _render(self, details, depth):
        """Rows of text, each with whether it heads a tree; else it tells of the head above it."""
        bar = " :    " if depth == 0 else " " * 6
        rows = [(True, self._label())]
        if details:
            rows += [(False, bar + line) for line in self._details(details)]
        children = sorted(self.child_trees, key=_place)
        for child in children:
            last = child is children[-1]
            edge, bar = ("     ", " " * 6) if last else (" |   ", bar)
            (_, label), *rest = child._render(details, depth + 1)
            rows.append((True, f" +--- {label}"))
            rows += [(head, (edge if head else bar) + text) for head, text in rest]
        return rows

    def _label(self):
        greenlet = self.greenlet
        label = repr(greenlet)
        if greenlet:
            return label
        if not getattr(greenlet, "ready", bool)():
            return label + "; not running"
        label += "; finished"
        if greenlet.value is not None:
            return f"{label} with value {repr(greenlet.value)[:30]}"
        if getattr(greenlet, "exception", None) is not None:
            return f"{label} with exception {greenlet.exception!r}"
        return label

    def _details(self, details):
        greenlet = self.greenlet
        yield f"Parent: {greenlet.parent!r}"
        monitor = getattr(greenlet, "gevent_monitoring_thread", None)
        if monitor is not None:
            yield f"Monitoring Thread:{monitor()!r}"
        if greenlet and details["running_stacks"]:
            yield "Running:"
            yield from _stack(greenlet.gr_frame, details["running_stack_limit"])
        spawned_at = getattr(greenlet, "spawning_stack", None)
        if spawned_at and details["spawning_stacks"]:
            yield "Spawned at:"
            yield from _stack(spawned_at, None)
        shared = getattr(greenlet, "spawn_tree_locals", None)
        if shared and shared is not getattr(_spawner(greenlet), "spawn_tree_locals", None):
            yield "Spawn Tree Locals"
            yield from pprint.pformat(shared).splitlines()
        if details["locals"]:
            yield from _locals(greenlet)

    @classmethod
    def forest(cls):
        """A tree for each thread that has greenlets, and each greenlet that is to be a root."""
        return list(cls._forest()[0])

    @classmethod
    def current_tree(cls):
        """The tree of the current thread."""
        return cls._forest()[1]

    @classmethod
    def _forest(cls):
        from manyhands.gevent._greenlet_primitives import get_reachable_greenlets

        trees = {}

        def tree_of(greenlet):
            if greenlet not in trees:
                trees[greenlet] = cls(greenlet)
            return trees[greenlet]

        current = tree_of(_root(getcurrent()))
        current.is_current_tree = True
        roots = {current: None}
        for greenlet in get_reachable_greenlets():
            above = _spawner(greenlet)
            if above is None:
                above = _root(greenlet)
            parent = tree_of(above)
            if _root(above) is above:
                roots[parent] = None
            parent.add_child(tree_of(greenlet))
        return roots, current


def _root(greenlet):
    """The main greenlet of its thread, or one on the way there that is said to be a root."""
    while greenlet.parent is not None and not getattr(greenlet, "greenlet_tree_is_root", False):
        greenlet = greenlet.parent
    return greenlet


def _spawner(greenlet):
    """Who spawned it, if that is known, and still there."""
    reference = getattr(greenlet, "spawning_greenlet", None)
    return reference() if reference is not None else None


def _place(tree):
    """Among its siblings: in the order of their numbers, those that have none first."""
    ready = getattr(tree, "ready", bool)()
    return getattr(tree, "minimal_ident", -1), ready, id(tree.parent)


def _stack(frame, limit):
    return "".join(traceback.format_stack(frame, limit)).splitlines()


def _locals(greenlet):
    from manyhands.gevent.local import all_local_dicts_for_greenlet

    found = all_local_dicts_for_greenlet(greenlet)
    if found:
        yield "Greenlet Locals:"
    for (kind, ident), values in found:
        if values:
            yield f"  Local {kind} at {ident:#x}"
            yield from ("    " + pprint.pformat(values)).splitlines()
