"""Sandboxes: bubblewrap, the network, processes, and the control socket of the agent inside."""
