"""The one address in front, and the edges: HAProxy's configuration, keys, certificates."""
