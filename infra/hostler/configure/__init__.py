"""From manifest and observed to a plan, and from a plan to Ansible."""
