// Puts the parts of the page that changed in place, as the server sends them, and asks before something is deleted.
const connection = document.getElementById("connection");

function put(element, html) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  const open = new Set([...element.querySelectorAll("details[open]")].map((one) => one.closest("tr")?.id));
  element.innerHTML = html;
  for (const details of element.querySelectorAll("details")) {
    if (open.has(details.closest("tr")?.id)) details.open = true;
  }
  if (focused) document.getElementById(focused)?.focus();
}

function putRows(body, {keys, rows}) {
  const wanted = new Set(keys.map((key) => `${body.id}-${key}`));
  for (const row of [...body.children]) if (!wanted.has(row.id)) row.remove();
  keys.forEach((key, index) => {
    const id = `${body.id}-${key}`;
    let row = document.getElementById(id);
    if (!row) { row = document.createElement("tr"); row.id = id; }
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
    if (key in rows) put(row, rows[key]);
  });
}

let source = null;
let hasEnded = false;

function listen(path) {
  const source = new EventSource(path);
  source.onopen = () => { connection.textContent = "live"; };
  source.onerror = () => {
    connection.textContent = source.readyState === EventSource.CLOSED ? "closed: reload the page" : "not connected";
  };
  source.onmessage = ({data}) => {
    const update = JSON.parse(data);
    for (const [id, html] of Object.entries(update.parts ?? {})) put(document.getElementById(id), html);
    for (const [id, rows] of Object.entries(update.rows ?? {})) putRows(document.getElementById(id), rows);
  };
  source.addEventListener("ended", () => {
    hasEnded = true;
    source.close();
    connection.textContent = "the session has ended";
    for (const button of document.querySelectorAll("main button")) button.disabled = true;
  });
  return source;
}

// A browser opens six connections to a host at most, and a live page holds one, so a page that is not seen lets go of it.
function follow() {
  if (hasEnded) return;
  if (document.hidden) {
    source?.close();
    source = null;
    connection.textContent = "paused";
  } else {
    source ??= listen(document.body.dataset.events);
  }
}

if (document.body.dataset.events) {
  document.addEventListener("visibilitychange", follow);
  follow();
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
