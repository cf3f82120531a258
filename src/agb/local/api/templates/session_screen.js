import RFB from "/novnc/core/rfb.js";
const place = document.querySelector("#desktop");
const viewer = new RFB(place, place.dataset.url);
viewer.scaleViewport = true;
viewer.background = "none";
viewer.qualityLevel = 8;
viewer.addEventListener("connect", () => { place.dataset.state = "shown"; viewer.focus({preventScroll: true}); });
viewer.addEventListener("disconnect", () => {
  place.dataset.state = "ended";
  place.textContent = "The screen is no longer shown: the session ended, or this address expired. Reload the page.";
});
