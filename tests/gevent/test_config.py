"""What can be set that gevent does not know, or means something else here."""

import pytest

pytest.importorskip("greenlet")

from manyhands.gevent import _config, core


@pytest.fixture
def config():
    return _config.Config()


@pytest.mark.parametrize(
    "name", ["libev-cext", "libev-cffi", "libuv-cffi", "libuv", "gevent.libev.corecext.loop"]
)
def test_all_loops_are_ours(config, name):
    config.loop = name
    assert config.loop is core.loop


def test_the_loop_may_be_another_class(config):
    class Loop(core.loop):
        pass

    config.loop = Loop
    assert config.loop is Loop


@pytest.mark.parametrize("name", ["ares", "gevent.resolver.ares.Resolver"])
def test_the_message_about_ares_says_what_there_is(config, name):
    with pytest.raises(ImportError, match=r"not offered.*'thread', 'dnspython' or 'block'"):
        config.resolver = name


def test_the_next_of_a_list_is_taken_for_ares(config):
    config.fileobject = "ares,block"
    assert config.fileobject.__name__ == "FileObjectBlock"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0.25", 0.25),
        (2, 2.0),
        ("on", 0.1),
        ("yes", 0.1),
        (True, 0.1),
        ("off", None),
        ("", None),
        ("0", None),
        (False, None),
        (None, None),
    ],
)
def test_blocking_report_is_a_time_or_a_switch(monkeypatch, value, seconds):
    config = _config.Config()
    config.blocking_report = value
    assert config.blocking_report == seconds
    if isinstance(value, str):
        monkeypatch.setenv("GEVENT_BLOCKING_REPORT", value)
        assert _config.Config().blocking_report == seconds


def test_blocking_report_is_off_at_first(config, monkeypatch):
    monkeypatch.delenv("GEVENT_BLOCKING_REPORT", raising=False)
    assert config.blocking_report is None


@pytest.mark.parametrize("value", ["soon", "-1"])
def test_blocking_report_refuses_what_is_no_time(config, value):
    with pytest.raises(ValueError, match=r"Invalid boolean|must be positive"):
        config.blocking_report = value


def test_threads_may_be_idle_for_ever(config):
    config.threadpool_idle_task_timeout = -1
    assert config.threadpool_idle_task_timeout is None


def test_memory_has_units(config):
    config.max_memory_usage = "64MB"
    assert config.max_memory_usage == 64 << 20


def test_every_setting_says_its_variable(config, capsys):
    config.print_help()
    printed = capsys.readouterr().out
    for setting in config.settings.values():
        assert setting.environment_key in printed
