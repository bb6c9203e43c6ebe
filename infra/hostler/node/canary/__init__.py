"""What a new replica must do as well as the old one."""
