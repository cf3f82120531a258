const main = document.querySelector("main");
const again = new URL(location.href);
again.searchParams.set("part", "content");
async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(again, {cache: "no-store"});
    if (answer.ok) { main.innerHTML = await answer.text(); return; }
  } catch { /* the runtime has stopped; the page shows that below */ }
  clearInterval(timer);
  document.body.className = "ended";
  const state = document.querySelector(".state");
  if (state) state.textContent = "no longer shown: the session ended, or this address expired";
}
const timer = document.body.className === "live" ? setInterval(refresh, 3000) : 0;
