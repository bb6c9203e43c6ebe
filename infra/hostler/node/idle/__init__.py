"""When a replica or a host is idle, and what is due then."""
