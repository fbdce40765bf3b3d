"""What can be set: in the environment, or as attributes of `gevent.config` before it is used.

`python -m manyhands.gevent._config` prints what there is.
"""

from manyhands.gevent._setting import (
    ALL_SETTINGS as ALL_SETTINGS,
    BoolSettingMixin as BoolSettingMixin,
    ByteCountSettingMixin as ByteCountSettingMixin,
    Config as Config,
    FloatSettingMixin as FloatSettingMixin,
    ImportableSetting as ImportableSetting,
    IntSettingMixin as IntSettingMixin,
    Setting as Setting,
    make_settings as make_settings,
    validate_anything as validate_anything,
    validate_bool as validate_bool,
    validate_invalid as validate_invalid,
)
from manyhands.gevent._settings import (
    AresSettingMixin as AresSettingMixin,
    FileObject as FileObject,
    Loop as Loop,
    MaxBlockingTime as MaxBlockingTime,
    Resolver as Resolver,
    Threadpool as Threadpool,
)

__all__ = ["config"]

config = Config()

if __name__ == "__main__":
    config.print_help()
