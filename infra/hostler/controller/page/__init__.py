"""The status page below /hostler, its data as JSON and as a live stream, and Prometheus metrics."""
