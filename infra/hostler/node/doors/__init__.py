"""What lets requests through to replicas: HAProxy, its sockets, draining, ports, the firewall."""
