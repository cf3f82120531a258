// The live view of the session's browser: paints its pictures, and sends what a person does.
const live = document.querySelector("#browser");
const part = id => document.getElementById(id);
const canvas = live.querySelector("canvas"), keys = part("keys"), addressBar = part("address");
let socket, state = {tabs: [], shown: ""}, pressed = 0, lastPress = {at: 0, count: 0};

function send(type, values = {}) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({type, ...values}));
}

function connect() {
  if (document.body.className !== "live") return;
  if (document.hidden) { setTimeout(connect, 2000); return; }
  const url = new URL(location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.pathname = url.pathname.replace(/page$/, "live");
  socket = new WebSocket(url);
  socket.binaryType = "blob";
  socket.onmessage = ({data}) => typeof data === "string" ? showState(JSON.parse(data)) : paint(data);
  socket.onclose = () => { live.hidden = true; setTimeout(connect, 2000); };
}

async function paint(data) {
  try {
    const picture = await createImageBitmap(data);
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
  } finally { send("seen"); }
}

// --- tabs and address ---

function button(text, title, name, action) {
  const made = document.createElement("button");
  made.textContent = text;
  made.title = title;
  made.setAttribute("aria-label", name);
  made.onclick = action;
  return made;
}

function showState(news) {
  live.hidden = false;
  const changed = news.shown !== state.shown, old = state.tabs.find(tab => tab.id === news.shown);
  const asked = JSON.stringify(news.dialog) !== JSON.stringify(state.dialog) && news.dialog;
  state = news;
  const buttons = () => [...part("tabs").querySelectorAll("button")], focused = buttons().indexOf(document.activeElement);
  part("tabs").replaceChildren(...news.tabs.map(tab => {
    const item = document.createElement("span");
    item.className = tab.id === news.shown ? "shown" : "";
    const name = tab.title || tab.url, choice = button(name, tab.url, name, () => send("tab", {id: tab.id}));
    if (item.className) choice.setAttribute("aria-current", "true");
    item.append(choice, button("×", "Close", `Close ${name}`, () => send("close", {id: tab.id})));
    return item;
  }));
  if (focused >= 0 && news.tabs.length) buttons().at(Math.min(focused, news.tabs.length * 2 - 1)).focus();
  const shown = news.tabs.find(tab => tab.id === news.shown);
  if (shown && (changed || !old || old.url !== shown.url)) addressBar.value = shown.url;
  if (asked) setTimeout(() => answer(asked), 0);
}

function answer({type, message, defaultPrompt}) {
  if (type === "prompt") {
    const text = prompt(message, defaultPrompt || "");
    send("dialog", {accept: text !== null, text: text || ""});
  } else send("dialog", {accept: type === "alert" ? (alert(message), true) : confirm(message || "Leave the page?")});
}

part("bar").onsubmit = event => {
  event.preventDefault();
  send("go", {url: addressBar.value});
  keys.focus();
};
part("back").onclick = () => send("step", {by: -1});
part("forward").onclick = () => send("step", {by: 1});
part("reload").onclick = () => send("step", {by: 0});
part("new-tab").onclick = () => { send("new"); addressBar.focus(); };

// --- mouse ---

const modifiers = event => event.altKey | event.ctrlKey << 1 | event.metaKey << 2 | event.shiftKey << 3;
function place(event) {
  const box = canvas.getBoundingClientRect(), within = part => Math.min(1, Math.max(0, part));
  return {x: within((event.clientX - box.left) / box.width), y: within((event.clientY - box.top) / box.height),
    modifiers: modifiers(event)};
}
function mouse(kind, event, clicks) {
  const button = kind === "mouseMoved" ? (event.buttons & 1 ? "left" : "none") : ["left", "middle", "right"][event.button];
  if (button) send("mouse", {kind, ...place(event), button, buttons: event.buttons & 7, clicks});
}
keys.onpointerdown = event => {
  keys.setPointerCapture(event.pointerId);
  const near = Math.hypot(event.clientX - lastPress.x, event.clientY - lastPress.y) < 5;
  const count = near && event.timeStamp - lastPress.at < 500 ? lastPress.count % 3 + 1 : 1;
  lastPress = {at: event.timeStamp, x: event.clientX, y: event.clientY, count};
  mouse("mousePressed", event, count);
};
keys.onpointerup = event => mouse("mouseReleased", event, lastPress.count);
keys.onpointermove = event => {  // at most one in 30 ms
  if (event.timeStamp - pressed > 30) { pressed = event.timeStamp; mouse("mouseMoved", event, 0); }
};
keys.oncontextmenu = event => event.preventDefault();
keys.addEventListener("wheel", event => {
  event.preventDefault();
  const unit = [1, 40, 400][event.deltaMode];
  send("wheel", {...place(event), dx: event.deltaX * unit, dy: event.deltaY * unit});
}, {passive: false});

// --- keyboard ---
// A key that types a character by itself is sent as a key, so that the page sees it pressed. What an input method makes
// of several keys, or what is pasted, arrives as text in the field above the picture, and is sent as text.

const isByMethod = event => event.isComposing || ["Process", "Dead", "Unidentified"].includes(event.key);
function key(event, isDown) {
  if (isByMethod(event)) return;
  const pastes = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "v";
  if (pastes) return;
  event.preventDefault();
  const typed = event.key === "Enter" ? "\r" : [...event.key].length === 1 && !event.ctrlKey && !event.metaKey ? event.key : "";
  send("key", {is_down: isDown, key: event.key, code: event.code, number: event.keyCode & 255, text: isDown ? typed : "",
    modifiers: modifiers(event), repeat: event.repeat});
}
// All keys go to the page, Tab among them. Ctrl+F6 leaves it, once Ctrl is up: the page must see that as well.
let isLeaving = false;
keys.onkeydown = event => {
  if (!event.ctrlKey || event.key !== "F6") { key(event, true); return; }
  event.preventDefault();
  isLeaving = true;
};
keys.onkeyup = event => {
  key(event, false);
  if (!isLeaving || event.key !== "Control") return;
  isLeaving = false;
  addressBar.focus();
};
function text() {
  if (keys.value) send("text", {text: keys.value});
  keys.value = "";
}
keys.oninput = event => { if (!event.isComposing) text(); };
keys.addEventListener("compositionend", text);

connect();
