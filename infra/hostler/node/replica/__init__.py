"""A replica's container: run, waited for, what stands beside it, and put right after a kill."""
