"""What a host has of its own for others: certificates, keys, and the controller on the gateway's host."""
