"""Finding how one slice of a focus sweep lies against another: one estimator per file."""
