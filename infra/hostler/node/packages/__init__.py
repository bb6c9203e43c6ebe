"""What the package manager says, and what came by it."""
