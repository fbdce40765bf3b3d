"""What patching may raise, and what it warns of."""


class MonkeyPatchWarning(RuntimeWarning):
    """Patching was done in a way that parts of the program will not notice, or not survive."""


class _BadImplements(AttributeError):
    """A module that is to replace things in another does not say which."""

    def __init__(self, module):
        super().__init__(
            f"{module!r} has no list __implements__: say in it, or by items=, what is to be "
            "replaced"
        )
