"""Files of this machine: archives, local files, progress."""
