"""Crawl a site with the browser of a session: each page, its title, and its links to pages of the same site."""

from collections import deque
from urllib.parse import urldefrag, urlsplit

from agb import AGB, CreateSessionParams

PARAMS = CreateSessionParams(image_id="agb-browser-use-1")
START = "http://127.0.0.1:8000/index.html"
MAX_PAGES = 50
SITE = {  # a site to crawl, served in the session itself
    "index.html": '<title>Home</title><a href="/fruit.html#top">Fruit</a> <a href="https://example.com/">Other</a>',
    "fruit.html": '<title>Fruit</title><a href="index.html">Home</a> <a href="pears.html">Pears</a>',
    "pears.html": "<title>Pears</title>",
}

with AGB() as client, client.session(PARAMS) as session:
    for name, text in SITE.items():
        session.file.write(f"site/{name}", text, parents=True).raise_for_error()
    session.command.start(["python3", "-m", "http.server", "8000", "--directory", "site"])
    wait = "until curl -s http://127.0.0.1:8000; do sleep 0.1; done"
    session.command.execute(wait, timeout_ms=60_000, check=True)
    with session.browser.page() as page:
        queue = deque([START])
        seen = {START}
        while queue and len(seen) <= MAX_PAGES:
            page.goto(queue.popleft())
            links = page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
            print(page.title(), len(links))
            for link in (urldefrag(link).url for link in links):
                if urlsplit(link).netloc == urlsplit(START).netloc and link not in seen:
                    seen.add(link)
                    queue.append(link)
