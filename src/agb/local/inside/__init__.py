"""Programs that run inside a session, as files of their own: standard library only, nothing of ours but siblings."""
