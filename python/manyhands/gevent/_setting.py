"""What a setting is, and the object that has them all as attributes."""

import importlib
import os
import textwrap

#: In the order in which they are declared.
ALL_SETTINGS = []


def validate_invalid(value):
    """Nothing is valid."""
    raise ValueError(f"Not a valid value: {value!r}")


def validate_bool(value):
    """In the environment: 1, true, on, yes; or 0, false, off, no, or nothing at all."""
    if not isinstance(value, str):
        return bool(value)
    word = value.strip().lower()
    if word in ("1", "true", "on", "yes"):
        return True
    if word in ("", "0", "false", "off", "no"):
        return False
    raise ValueError(f"Invalid boolean string: {value!r}")


def validate_anything(value):
    """Everything is valid."""
    return value


convert_str_value_as_is = validate_anything


class Setting:
    """One thing that can be set. A subclass that has `desc` is one of `config`."""

    #: Its name in `config`: that of the class in small letters, if not given.
    name = None
    #: Its variable in the environment: GEVENT_ and its name, if not given.
    environment_key = None
    default = None
    value = None
    desc = None
    #: Whether it is an attribute of the class `Config`, where help() finds it.
    document = True
    validate = staticmethod(validate_invalid)

    def __init_subclass__(cls):
        super().__init_subclass__()
        if "desc" not in cls.__dict__:
            return
        own = cls.__dict__
        cls.name = own.get("name") or cls.__name__.lower()
        cls.environment_key = own.get("environment_key") or "GEVENT_" + cls.name.upper()
        cls.order = len(ALL_SETTINGS)
        cls.__doc__ = cls.desc = cls._describe()
        ALL_SETTINGS.append(cls)
        if cls.document:
            setattr(Config, cls.name, _property_of(cls.name, cls.desc))

    @classmethod
    def _describe(cls):
        return "\n\n".join(
            [
                textwrap.dedent(cls.desc).strip(),
                f"The default is `{cls.default!r}`.",
                f"In the environment: `{cls.environment_key}`.",
            ]
        )

    def _convert(self, value):
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    def get(self):
        """What it is set to; the first call looks into the environment, once and for all."""
        if "value" not in self.__dict__:
            self.set(os.environ.get(self.environment_key, self.default))
        return self.value

    def set(self, value):
        """Set it."""
        self.value = self.validate(self._convert(value))


def _property_of(name, description):
    return property(
        lambda config: config.settings[name].get(),
        lambda config, value: config.settings[name].set(value),
        doc=description,
    )


def make_settings():
    """New objects of all settings, by name."""
    return {kind.name: kind() for kind in ALL_SETTINGS}


class Config:
    """All settings, as attributes."""

    def __init__(self):
        self.settings = make_settings()

    def __getattr__(self, name):
        if name == "settings" or name not in self.settings:
            raise AttributeError(f"No configuration setting for: {name!r}")
        return self.settings[name].get()

    def __setattr__(self, name, value):
        if name != "settings" and name in self.settings:
            self.set(name, value)
        else:
            super().__setattr__(name, value)

    def set(self, name, value):
        """Set one by its name."""
        if name not in self.settings:
            raise AttributeError(f"No configuration setting for: {name!r}")
        self.settings[name].set(value)

    def __dir__(self):
        return list(self.settings)

    def print_help(self):
        """Print what each is for."""
        for name, setting in self.settings.items():
            print(name, textwrap.indent(setting.desc, "    "), "", sep="\n")


class ImportableSetting:
    """A class or a function, set by itself, its dotted name, a short name, or a list of names.

    Of a list, the first that can be imported. In the environment commas separate the names.
    """

    shortname_map = {}  # noqa: RUF012
    #: Short names of what there is not, and why.
    not_offered = {}  # noqa: RUF012

    def _import_one_of(self, candidates):
        if not candidates:
            raise ImportError("Cannot import from empty list")
        for candidate in candidates[:-1]:
            try:
                return self._import_one(candidate)
            except ImportError:
                continue
        return self._import_one(candidates[-1])

    def _import_one(self, path):
        if not isinstance(path, str):
            return path
        if path in self.not_offered:
            raise ImportError(self.not_offered[path])
        if "." not in path or "/" in path:
            raise ImportError(
                f"Cannot import {path!r}: give package.module.name,"
                f" or one of {list(self.shortname_map)}"
            )
        module_name, _, name = path.rpartition(".")
        if module_name.partition(".")[0] == "gevent":
            module_name = "manyhands." + module_name
        module = importlib.import_module(module_name)
        try:
            return getattr(module, name)
        except AttributeError:
            raise ImportError(f"Cannot import {name!r} from {module!r}") from None

    def validate(self, value):
        """A class is taken as it is, names are imported."""
        if isinstance(value, type):
            return value
        return self._import_one_of([self.shortname_map.get(name, name) for name in value])

    def get_options(self):
        """What the short names stand for; an ImportError for what cannot be imported."""
        options = {}
        for name, path in self.shortname_map.items():
            try:
                options[name] = self._import_one(path)
            except ImportError as error:
                options[name] = error
        return options


class BoolSettingMixin:
    """Yes or no."""

    validate = staticmethod(validate_bool)
    _convert = staticmethod(convert_str_value_as_is)


class IntSettingMixin:
    """A whole number, or None."""

    validate = staticmethod(validate_anything)

    def _convert(self, value):
        return int(value) if value else None


class _Positive:
    def validate(self, value):
        if value is not None and value <= 0:
            raise ValueError(f"{self.name} must be positive, not {value!r}")
        return value


class FloatSettingMixin(_Positive):
    """A positive number, or None."""

    def _convert(self, value):
        return float(value) if value else None


class ByteCountSettingMixin(_Positive):
    """A positive number of bytes, or None; 64kb, 64mb and 64gb are understood too."""

    _UNITS = {"kb": 2**10, "mb": 2**20, "gb": 2**30}  # noqa: RUF012

    def _convert(self, value):
        if not value or not isinstance(value, str):
            return value
        unit = self._UNITS.get(value[-2:].lower())
        return int(value) if unit is None else int(value[:-2]) * unit


class ResolverOption:
    """Handed to a resolver as it is."""

    validate = staticmethod(validate_anything)
    _convert = staticmethod(convert_str_value_as_is)
    kwarg_name = None
