"""Training of priors: settings, data, the loop, and what a finished run becomes."""
