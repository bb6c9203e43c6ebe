"""How Hostler reaches machines and what it sees there. `types` has the values, `transport` the way."""
