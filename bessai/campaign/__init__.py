"""A seeded random campaign against the running gateway, and its judge: docs/campaign.md."""
