"""Crawl a site with the browser of a session: each page, its title, and its links to pages of the same site."""

import asyncio
from collections import deque
from urllib.parse import urldefrag, urlsplit

from agb import AsyncAGB, CreateSessionParams

PARAMS = CreateSessionParams(image_id="agb-browser-use-1")
START = "http://127.0.0.1:8000/index.html"
MAX_PAGES = 50
SITE = {  # a site to crawl, served in the session itself
    "index.html": '<title>Home</title><a href="/fruit.html#top">Fruit</a> <a href="https://example.com/">Other</a>',
    "fruit.html": '<title>Fruit</title><a href="index.html">Home</a> <a href="pears.html">Pears</a>',
    "pears.html": "<title>Pears</title>",
}


async def main() -> None:
    async with AsyncAGB() as client, client.session(PARAMS) as session:
        for name, text in SITE.items():
            (await session.file.write(f"site/{name}", text, parents=True)).raise_for_error()
        await session.command.start(["python3", "-m", "http.server", "8000", "--directory", "site"])
        wait = "until curl -s http://127.0.0.1:8000; do sleep 0.1; done"
        await session.command.execute(wait, timeout_ms=60_000, check=True)
        async with session.browser.page() as page:
            queue = deque([START])
            seen = {START}
            while queue and len(seen) <= MAX_PAGES:
                await page.goto(queue.popleft())
                links = await page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
                print(await page.title(), len(links))
                for link in (urldefrag(link).url for link in links):
                    if urlsplit(link).netloc == urlsplit(START).netloc and link not in seen:
                        seen.add(link)
                        queue.append(link)


asyncio.run(main())
