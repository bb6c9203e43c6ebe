"""The controller that runs all the time: it watches, gives back, wakes, counts, and tells."""
