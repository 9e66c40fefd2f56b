"""Where training data comes from: one file per source."""
