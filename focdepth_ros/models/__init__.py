"""The networks, and how their weights are kept. Importing what is in here imports torch."""
