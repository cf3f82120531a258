"""Sessions and their tools: creating, finding, calling and releasing them. Knows no HTTP."""
