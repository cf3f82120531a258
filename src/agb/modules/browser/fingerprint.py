"""Door to fingerprints of browsers: the import path of 0.12."""

from ..._async.modules.fingerprint_generator import AsyncBrowserFingerprintGenerator as AsyncBrowserFingerprintGenerator
from ..._sync.modules.fingerprint_generator import BrowserFingerprintGenerator as BrowserFingerprintGenerator
from ...fingerprint import Brand as Brand
from ...fingerprint import ExtraProperties as ExtraProperties
from ...fingerprint import Fingerprint as Fingerprint
from ...fingerprint import FingerprintFormat as FingerprintFormat
from ...fingerprint import NavigatorFingerprint as NavigatorFingerprint
from ...fingerprint import ScreenFingerprint as ScreenFingerprint
from ...fingerprint import UserAgentData as UserAgentData
from ...fingerprint import VideoCard as VideoCard
