"""What a session offers: code, commands, processes, files, its contexts."""
