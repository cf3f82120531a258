const main = document.querySelector("main");
const again = new URL(location.href);
again.searchParams.set("part", "content");
function show(text) {
  if (main.contains(document.activeElement)) return;  // a link that has the keyboard stays
  const tables = () => [...main.querySelectorAll(".wide")], scrolled = tables().map(table => table.scrollLeft);
  main.innerHTML = text;
  tables().forEach((table, index) => { table.scrollLeft = scrolled[index] || 0; });
}
async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(again, {cache: "no-store"});
    if (answer.ok) { show(await answer.text()); return; }
  } catch { /* the runtime has stopped; the page shows that below */ }
  clearInterval(timer);
  document.body.className = "ended";
  const state = document.querySelector(".state");
  if (state) state.textContent = "no longer shown: the session ended, or this address expired";
}
const timer = document.body.className === "live" ? setInterval(refresh, 3000) : 0;
