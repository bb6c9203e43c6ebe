"""What the stack knows about itself; at home on the gateway's host."""
