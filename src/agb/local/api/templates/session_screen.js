import RFB from "/novnc/core/rfb.js";
const place = document.querySelector("#desktop"), typing = document.querySelector("#typing");
const text = typing.querySelector("input"), refusal = typing.querySelector("output");
const viewer = new RFB(place, place.dataset.url);
viewer.scaleViewport = true;
viewer.background = "none";
viewer.qualityLevel = 8;
viewer.addEventListener("connect", () => {
  const canvas = place.querySelector("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Screen of the session; keys go to it. Ctrl+F6 leads to the text field below.");
  place.dataset.state = "shown";
  typing.hidden = false;
  viewer.focus({preventScroll: true});
});
viewer.addEventListener("disconnect", () => {
  typing.hidden = true;
  place.dataset.state = "ended";
  place.textContent = "The screen is no longer shown: the session ended, or this address expired. Reload the page.";
});

// All keys go to the screen, Tab among them. Ctrl+F6 leaves it, once Ctrl is up: the session must see that as well.
let isLeaving = false;
place.addEventListener("keydown", event => {
  if (!event.ctrlKey || event.key !== "F6") return;
  event.preventDefault();
  event.stopPropagation();
  isLeaving = true;
}, true);
place.addEventListener("keyup", event => {
  if (!isLeaving || event.key !== "Control") return;
  isLeaving = false;
  setTimeout(() => text.focus(), 0);
}, true);

// The canvas of the viewer receives keys only. What an input method or a touch keyboard makes is typed by the session.
async function type(typed) {
  const url = new URL(location.href);
  url.pathname = url.pathname.replace(/page$/, "typed");
  try {
    const answer = await fetch(url, {method: "POST", body: typed});
    refusal.textContent = answer.ok ? "" : await answer.text();
    return answer.ok;
  } catch {
    refusal.textContent = "The session did not answer.";
    return false;
  }
}
typing.onsubmit = async event => {
  event.preventDefault();
  const typed = text.value;
  if (typed && await type(typed) && text.value === typed) text.value = "";
};
typing.querySelector("#enter").onclick = () => type("\n");
