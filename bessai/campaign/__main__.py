"""`python -m bessai.campaign`: plan a campaign or replay one, run it, and judge it."""

from bessai.campaign.command import campaign

campaign(prog_name="python -m bessai.campaign")
