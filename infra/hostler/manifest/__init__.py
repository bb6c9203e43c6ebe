"""What must be true of one host, as data: see items."""
