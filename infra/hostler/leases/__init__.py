"""What is idle, what is due because of it, and how it is given back and woken."""
