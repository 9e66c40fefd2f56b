"""Pictures for people: colour maps of depth, charts, sheets."""
