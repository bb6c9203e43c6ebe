"""The recipes that change a stack: up, down, roll."""
