"""The bundle that an app takes in."""
