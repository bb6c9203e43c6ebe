"""What is asked of a host, changing nothing."""
