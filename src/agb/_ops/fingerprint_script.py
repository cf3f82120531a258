"""The JavaScript that reads a browser's fingerprint, and which headers belong to it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fingerprint import FingerprintFormat

HEADERS = (
    *("sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "upgrade-insecure-requests", "user-agent", "accept"),
    *("sec-fetch-site", "sec-fetch-mode", "sec-fetch-user", "sec-fetch-dest", "accept-encoding", "accept-language"),
)
"""The headers of a page's first request that tell browsers apart."""

READ_FINGERPRINT = """async () => {
  const hints = navigator.userAgentData;
  const wanted = ["architecture", "bitness", "fullVersionList", "model", "platformVersion", "uaFullVersion"];
  const detailed = hints ? await hints.getHighEntropyValues(wanted) : {};
  const media = (kind, types) => Object.fromEntries(
    types.map(([name, type]) => [name, document.createElement(kind).canPlayType(type)]));
  const webgl = () => {
    const context = document.createElement("canvas").getContext("webgl");
    const names = context && context.getExtension("WEBGL_debug_renderer_info");
    return names ? { renderer: context.getParameter(names.UNMASKED_RENDERER_WEBGL),
                     vendor: context.getParameter(names.UNMASKED_VENDOR_WEBGL) }
                 : { renderer: "Unknown", vendor: "Unknown" };
  };
  const devices = async () => {
    const found = { speakers: [], micros: [], webcams: [] };
    const places = { audiooutput: found.speakers, audioinput: found.micros, videoinput: found.webcams };
    const all = navigator.mediaDevices ? await navigator.mediaDevices.enumerateDevices().catch(() => []) : [];
    for (const { deviceId, kind, label, groupId } of all) places[kind].push({ deviceId, kind, label, groupId });
    return found;
  };
  const battery = async () => {
    const found = navigator.getBattery ? await navigator.getBattery().catch(() => null) : null;
    if (!found) return null;
    const finite = (number) => Number.isFinite(number) ? number : null;
    return { charging: found.charging, chargingTime: finite(found.chargingTime),
             dischargingTime: finite(found.dischargingTime), level: found.level };
  };
  const mimeTypes = (plugin) => [...plugin].map(({ type, suffixes, description }) =>
    ({ type, suffixes, description, enabledPlugin: plugin.name }));
  const plugins = [...navigator.plugins].map((plugin) => ({ name: plugin.name, description: plugin.description,
    filename: plugin.filename, mimeTypes: mimeTypes(plugin) }));
  const fonts = () => {
    const canvas = document.createElement("canvas").getContext("2d");
    const width = (family) => (canvas.font = `72px ${family}`, canvas.measureText("mmmmmmmmmmlli").width);
    const bases = ["monospace", "sans-serif", "serif"].map((base) => [base, width(base)]);
    return ["Arial", "Arial Black", "Calibri", "Cambria", "Comic Sans MS", "Consolas", "Courier New", "DejaVu Sans",
            "Geneva", "Georgia", "Helvetica", "Helvetica Neue", "Impact", "Liberation Sans", "Lucida Grande", "Menlo",
            "Noto Sans", "Open Sans", "Roboto", "Segoe UI", "Tahoma", "Times New Roman", "Trebuchet MS", "Ubuntu",
            "Verdana"].filter((font) => bases.some(([base, size]) => width(`"${font}", ${base}`) !== size));
  };
  const root = document.documentElement;
  const vendors = ["chrome", "safari", "yandex", "opr"].filter((name) => name in window);
  return {
    screen: {
      availHeight: screen.availHeight, availWidth: screen.availWidth, availTop: screen.availTop ?? 0,
      availLeft: screen.availLeft ?? 0, colorDepth: screen.colorDepth, height: screen.height,
      pixelDepth: screen.pixelDepth, width: screen.width, devicePixelRatio, pageXOffset, pageYOffset, innerHeight,
      outerHeight, outerWidth, innerWidth, screenX, clientWidth: root.clientWidth, clientHeight: root.clientHeight,
      hasHDR: matchMedia("(dynamic-range: high)").matches,
    },
    navigator: {
      userAgent: navigator.userAgent,
      userAgentData: { brands: hints?.brands ?? [], mobile: hints?.mobile ?? false, platform: hints?.platform ?? "",
        ...detailed },
      doNotTrack: navigator.doNotTrack, appCodeName: navigator.appCodeName, appName: navigator.appName,
      appVersion: navigator.appVersion, oscpu: navigator.oscpu ?? null, webdriver: navigator.webdriver,
      language: navigator.language, languages: [...navigator.languages], platform: navigator.platform,
      deviceMemory: navigator.deviceMemory ?? null, hardwareConcurrency: navigator.hardwareConcurrency,
      product: navigator.product, productSub: navigator.productSub, vendor: navigator.vendor,
      vendorSub: navigator.vendorSub, maxTouchPoints: navigator.maxTouchPoints,
      extraProperties: { vendorFlavors: vendors, isBluetoothSupported: "bluetooth" in navigator,
        globalPrivacyControl: navigator.globalPrivacyControl ?? null,
        pdfViewerEnabled: navigator.pdfViewerEnabled ?? false, installedApps: [] },
    },
    videoCodecs: media("video", [["ogg", 'video/ogg; codecs="theora"'], ["h264", 'video/mp4; codecs="avc1.42E01E"'],
                                 ["webm", 'video/webm; codecs="vp8, vorbis"']]),
    audioCodecs: media("audio", [["ogg", 'audio/ogg; codecs="vorbis"'], ["mp3", "audio/mpeg"],
                                 ["wav", 'audio/wav; codecs="1"'], ["m4a", "audio/x-m4a"],
                                 ["aac", 'audio/mp4; codecs="mp4a.40.2"']]),
    pluginsData: { plugins, mimeTypes: [...navigator.mimeTypes].map(
      ({ type, suffixes, description }) => `${description}~~${type}~~${suffixes}`) },
    battery: await battery(), videoCard: webgl(), multimediaDevices: await devices(), fonts: fonts(),
    mockWebRTC: false, slim: null,
  };
}"""
"""Returns the object `fingerprint` of the format, in a page with a secure origin: others do not see all of it."""


def fingerprint_of(found: Mapping[str, Any], headers: Mapping[str, str]) -> FingerprintFormat:
    """Return the fingerprint of what the script has returned and of the headers of a request."""
    lower = {name.lower(): value for name, value in headers.items()}
    return FingerprintFormat.from_map(
        {"fingerprint": found, "headers": {name: lower[name] for name in HEADERS if name in lower}}
    )
