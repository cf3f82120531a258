"""Door to files: the import path of 0.12."""

from .._async.modules.file_stream import AsyncFileStream as AsyncFileStream
from .._async.modules.file_watch import AsyncFileChanges as AsyncFileChanges
from .._async.modules.files import AsyncFileSystem as AsyncFileSystem
from .._sync.modules.file_stream import FileStream as FileStream
from .._sync.modules.file_transfer import FileTransfer as FileTransfer
from .._sync.modules.file_watch import FileChanges as FileChanges
from .._sync.modules.files import FileSystem as FileSystem
from ..exceptions import FileError as FileError
from ..results import ApiResponse as ApiResponse
from ..results import BinaryFileContentResult as BinaryFileContentResult
from ..results import BoolResult as BoolResult
from ..results import DirectoryListResult as DirectoryListResult
from ..results import DownloadResult as DownloadResult
from ..results import FileChangeEvent as FileChangeEvent
from ..results import FileChangeResult as FileChangeResult
from ..results import FileContentResult as FileContentResult
from ..results import FileInfoResult as FileInfoResult
from ..results import FileSearchResult as FileSearchResult
from ..results import MultipleFileContentResult as MultipleFileContentResult
from ..results import UploadResult as UploadResult
