"""`python -m bessai.simulator`: the same as `bessai simulate`."""

from bessai.simulator.command import simulate

simulate(prog_name="bessai simulate")
