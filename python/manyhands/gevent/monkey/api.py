"""What replaces things in modules, for plugins too."""

from manyhands.gevent.monkey._errors import _BadImplements
from manyhands.gevent.monkey._notices import notify, queue_warning
from manyhands.gevent.monkey._state import originals, remember, saved

_MISSING = object()


def get_original(mod_name, item_name):
    """What an attribute of a module was before it was patched, or is, if it was not.

    Either may be a sequence: of names for the module, of which the first that can be imported
    counts; of attributes, whose originals come as a list.
    """
    names = [mod_name] if isinstance(mod_name, str) else list(mod_name)
    items = [item_name] if isinstance(item_name, str) else list(item_name)
    for name in names:
        try:
            found = originals(name, items)
        except ImportError:
            if name is names[-1]:
                raise
        else:
            return found[0] if isinstance(item_name, str) else found
    raise ValueError("get_original() needs the name of a module")


def patch_item(module, attr, newitem):
    """Replace an attribute, and remember what it was."""
    old = getattr(module, attr, _MISSING)
    if old is not _MISSING:
        remember(module, attr, old)
    setattr(module, attr, newitem)


def remove_item(module, attr):
    """Take an attribute away, and remember what it was."""
    old = getattr(module, attr, _MISSING)
    if old is not _MISSING:
        remember(module, attr, old)
        delattr(module, attr)


class PatchRequest:
    """What a module that patches by itself (``_gevent_do_monkey_patch``) is handed."""

    get_original = staticmethod(get_original)

    def __init__(self, target_module, source_module, items, patch_kwargs):
        self.target_module = target_module
        self.source_module = source_module
        self.items = items
        self.patch_kwargs = patch_kwargs or {}

    def __repr__(self):
        return (
            f"<{type(self).__name__} target={self.target_module!r} source={self.source_module!r} "
            f"items={self.items!r} kwargs={self.patch_kwargs!r}>"
        )

    def default_patch_items(self):
        """Replace all items by those of the same names."""
        for name in self.items:
            patch_item(self.target_module, name, getattr(self.source_module, name))

    def remove_item(self, target_module, *items):
        """Take items away, from another module if that is given first."""
        if isinstance(target_module, str):
            items = (target_module, *items)
            target_module = self.target_module
        for item in items:
            remove_item(target_module, item)


def patch_module(
    target_module,
    source_module,
    items=None,
    _warnings=None,
    _patch_kwargs=None,
    _notify_will_subscribers=True,
    _notify_did_subscribers=True,
    _call_hooks=True,
):
    """Replace things in one module by those of the same names in another.

    `items` are the names; by default `source_module.__implements__`. The source may have functions
    ``_gevent_will_monkey_patch(target, items, warn)``, which may change the list or raise
    `DoNotPatch`, and ``_gevent_did_monkey_patch``. Returns whether anything was done.
    """
    from manyhands.gevent import events

    if items is None:
        items = getattr(source_module, "__implements__", None)
        if items is None:
            raise _BadImplements(source_module)

    def call_hook(when):
        hook = getattr(source_module, f"_gevent_{when}_monkey_patch", None)
        if _call_hooks and hook is not None:
            hook(target_module, items, lambda message: queue_warning(message, _warnings))

    name = target_module.__name__
    try:
        call_hook("will")
        if _notify_will_subscribers:
            notify(
                events.GeventWillPatchModuleEvent(name, source_module, target_module, items),
                _warnings,
            )
    except events.DoNotPatch:
        return False
    replace = getattr(source_module, "_gevent_do_monkey_patch", PatchRequest.default_patch_items)
    replace(PatchRequest(target_module, source_module, items, _patch_kwargs))
    call_hook("did")
    if _notify_did_subscribers:
        notify(events.GeventDidPatchModuleEvent(name, source_module, target_module), _warnings)
    return True


def source_and_target(name):
    """Our module of that name, and the one that it is made to replace things in."""
    source = __import__(f"manyhands.gevent.{name}", fromlist=("*",))
    return source, __import__(getattr(source, "__target__", name))


def patch_by_name(name, **options):
    """Patch with our module of that name; returns it and what was patched."""
    source, target = source_and_target(name)
    patch_module(target, source, **options)
    for alternate in getattr(source, "__alternate_targets__", ()):
        saved.setdefault(alternate, saved.get(target.__name__, {}))
    return source, target
