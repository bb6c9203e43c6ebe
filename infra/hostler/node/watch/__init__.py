"""Each 30 s: what is stalled is restarted, what never starts is stopped."""
