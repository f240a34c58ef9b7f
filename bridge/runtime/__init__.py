"""The spine: intake, translate, release, deliver."""
