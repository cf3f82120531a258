"""Machines that generated fingerprints describe: each entry is one that exists, so that its parts fit together."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Machine:
    """A machine as web pages see it: sizes in CSS pixels, memory in GB as browsers round it."""

    screen: tuple[int, int]
    graphics: tuple[str, str]
    """Vendor and renderer as WebGL's debugging extension reports them."""
    cores: int
    memory: int = 8
    ratio: float = 1.0
    color_depth: int = 24
    insets: tuple[int, int, int, int] = (0, 0, 0, 0)
    """What the system's own bars take, at the left, top, right and bottom of the screen."""
    version: str = ""
    """The system's version as client hints have it."""
    model: str = ""
    page_height: int = 0
    """Height of a page on a phone."""


_TASKBAR = (0, 0, 0, 48)
_DOCK = (0, 25, 0, 0)
_PANEL = (0, 27, 0, 0)


def _direct3d(maker: str, card: str) -> tuple[str, str]:
    return f"Google Inc. ({maker})", f"ANGLE ({maker}, {card} Direct3D11 vs_5_0 ps_5_0, D3D11)"


def _metal(chip: str) -> tuple[str, str]:
    return "Google Inc. (Apple)", f"ANGLE (Apple, ANGLE Metal Renderer: {chip}, Unspecified Version)"


_WINDOWS = (
    Machine(
        screen=(1920, 1080),
        graphics=_direct3d("NVIDIA", "NVIDIA GeForce RTX 3060 (0x00002504)"),
        cores=12,
        memory=16,
        insets=_TASKBAR,
        version="15.0.0",
    ),
    Machine(
        screen=(2560, 1440),
        graphics=_direct3d("NVIDIA", "NVIDIA GeForce RTX 4070 (0x00002786)"),
        cores=16,
        memory=32,
        insets=_TASKBAR,
        version="19.0.0",
    ),
    Machine(
        screen=(1536, 864),
        ratio=1.25,
        graphics=_direct3d("Intel", "Intel(R) Iris(R) Xe Graphics (0x000046A6)"),
        cores=12,
        memory=16,
        insets=_TASKBAR,
        version="15.0.0",
    ),
    Machine(
        screen=(1920, 1080),
        graphics=_direct3d("Intel", "Intel(R) UHD Graphics 630 (0x00003E9B)"),
        cores=8,
        insets=(0, 0, 0, 40),
        version="10.0.0",
    ),
    Machine(
        screen=(1920, 1080),
        graphics=_direct3d("AMD", "AMD Radeon(TM) Graphics (0x00001638)"),
        cores=12,
        memory=16,
        insets=_TASKBAR,
        version="15.0.0",
    ),
)
_MACOS = (
    Machine(
        screen=(1440, 900),
        ratio=2.0,
        color_depth=30,
        graphics=_metal("Apple M1"),
        cores=8,
        insets=_DOCK,
        version="14.7.1",
    ),
    Machine(
        screen=(1470, 956),
        ratio=2.0,
        color_depth=30,
        graphics=_metal("Apple M2"),
        cores=8,
        memory=16,
        insets=(0, 33, 0, 0),
        version="15.5.0",
    ),
    Machine(
        screen=(1512, 982),
        ratio=2.0,
        color_depth=30,
        graphics=_metal("Apple M3 Pro"),
        cores=12,
        memory=16,
        insets=(0, 33, 0, 0),
        version="15.6.1",
    ),
)
_LINUX = (
    Machine(
        screen=(1920, 1080),
        graphics=("Google Inc. (Intel)", "ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6)"),
        cores=8,
        insets=_PANEL,
    ),
    Machine(
        screen=(2560, 1440),
        graphics=("Google Inc. (AMD)", "ANGLE (AMD, AMD Radeon RX 6600 (radeonsi navi23 LLVM 17.0.6), OpenGL 4.6)"),
        cores=16,
        memory=16,
        insets=_PANEL,
    ),
)
_ANDROID = (
    Machine(
        screen=(412, 915),
        page_height=785,
        ratio=2.625,
        graphics=("ARM", "Mali-G715"),
        cores=9,
        version="15.0.0",
        model="Pixel 8",
    ),
    Machine(
        screen=(360, 780),
        page_height=650,
        ratio=3.0,
        graphics=("Qualcomm", "Adreno (TM) 740"),
        cores=8,
        version="14.0.0",
        model="SM-S911B",
    ),
    Machine(
        screen=(384, 832),
        page_height=702,
        ratio=2.8125,
        graphics=("Qualcomm", "Adreno (TM) 750"),
        cores=8,
        version="14.0.0",
        model="SM-S926B",
    ),
)
_APPLE_GPU = ("Apple Inc.", "Apple GPU")
_IOS = (
    Machine(
        screen=(390, 844), page_height=669, ratio=3.0, graphics=_APPLE_GPU, cores=4, version="18_5", model="iPhone"
    ),
    Machine(
        screen=(393, 852), page_height=665, ratio=3.0, graphics=_APPLE_GPU, cores=4, version="18_6", model="iPhone"
    ),
)

MACHINES: dict[tuple[str, str], tuple[Machine, ...]] = {
    ("desktop", "windows"): _WINDOWS,
    ("desktop", "macos"): _MACOS,
    ("desktop", "linux"): _LINUX,
    ("mobile", "android"): _ANDROID,
    ("mobile", "ios"): _IOS,
}
"""The machines of each pair of a device and an operating system; other pairs do not exist."""
