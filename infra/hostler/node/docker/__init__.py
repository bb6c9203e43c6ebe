"""Docker's Engine and what is in it: containers, images, its daemon."""
