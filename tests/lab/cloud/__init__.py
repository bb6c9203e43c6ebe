"""A cloud in a lab: AWS's answers by moto, and a real host behind each EC2 instance. README.md has the rest."""
