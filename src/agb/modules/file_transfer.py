"""Door to file transfer: the import path of 0.12."""

from .._async.modules.file_transfer import AsyncFileTransfer as AsyncFileTransfer
from .._sync.modules.file_transfer import FileTransfer as FileTransfer
from ..results import DownloadResult as DownloadResult
from ..results import UploadResult as UploadResult
