"""Door to the session: the import path of 0.12."""

from ._async.session import AsyncSession as AsyncSession
from ._sync.session import Session as Session
