"""Files whose methods let other greenlets run while they wait.

`FileObject` is the kind that the setting `fileobject` names when this module is imported.
"""

from manyhands.gevent._config import config
from manyhands.gevent._fileobjectcommon import FileObjectBlock, FileObjectThread
from manyhands.gevent._fileobjectposix import FileObjectPosix

__all__ = ["FileObject", "FileObjectBlock", "FileObjectPosix", "FileObjectThread"]

FileObject = config.fileobject
