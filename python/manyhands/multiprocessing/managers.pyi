from collections.abc import Callable
from multiprocessing import managers
from multiprocessing.managers import (
    AcquirerProxy as AcquirerProxy,
    ArrayProxy as ArrayProxy,
    AutoProxy as AutoProxy,
    BarrierProxy as BarrierProxy,
    BaseListProxy as BaseListProxy,
    BaseManager as BaseManager,
    BasePoolProxy as BasePoolProxy,
    BaseProxy as BaseProxy,
    ConditionProxy as ConditionProxy,
    EventProxy as EventProxy,
    IteratorProxy as IteratorProxy,
    ListProxy as ListProxy,
    MakeProxyType as MakeProxyType,
    Namespace as Namespace,
    NamespaceProxy as NamespaceProxy,
    PoolProxy as PoolProxy,
    RebuildProxy as RebuildProxy,
    RemoteError as RemoteError,
    Server as Server,
    SharedMemoryManager as SharedMemoryManager,
    SyncManager as SyncManager,
    Token as Token,
    ValueProxy as ValueProxy,
    all_methods as all_methods,
    convert_to_error as convert_to_error,
    dispatch as dispatch,
    listener_client as listener_client,
    public_methods as public_methods,
)
from typing import TypeVar

from manyhands.multiprocessing.synchronize import AbandonedLockWarning as AbandonedLockWarning

__all__ = ["BaseManager", "BaseProxy", "SharedMemoryManager", "SyncManager", "Token"]

_K = TypeVar("_K")
_V = TypeVar("_V")

class ServerLost(ConnectionResetError, EOFError): ...
class LostUpdateWarning(RuntimeWarning): ...

class DictProxy(managers.DictProxy[_K, _V]):
    def increment(self, key: _K, by: _V = ...) -> _V: ...
    def update_with(self, key: _K, function: Callable[[_V], _V], default: _V = ...) -> _V: ...
