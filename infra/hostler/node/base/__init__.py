"""What everything here stands on: requests and answers, commands, files, HTTP, systemd, specifications."""
