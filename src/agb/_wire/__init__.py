"""Wire: what goes over the line. No I/O: requests, replies, deadlines, retry rules."""
