"""The actors of the gateway, a folder each; beside them what several share, `messages` above all."""
