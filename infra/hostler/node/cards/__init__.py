"""Graphics cards: their facts, memory, driver, power, and which a container has."""
