"""The HTTP API: routes, handlers, pages, links, live output and pre-signed URLs, on top of the runtime."""
