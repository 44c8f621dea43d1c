"""The actors of the gateway; `messages` is the only thing they share."""
