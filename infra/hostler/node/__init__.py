"""What runs on a host: standard library only, Python 3.9 and later; packed as one zipapp."""
