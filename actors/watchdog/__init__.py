"""Reports whether the control cell makes progress."""
