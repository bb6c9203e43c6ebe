"""What a stack costs: rows of a ledger, made of what is seen, and what they add up to. Pure."""
