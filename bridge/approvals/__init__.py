"""Four eyes on files: what a bundle is, who must agree to it, and whether they have. Pure."""
