"""What people see: tables, live progress, questions, JSON."""
